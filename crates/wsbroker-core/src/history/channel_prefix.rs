//! What comes behind the offset at the beginning of a frame.

/// A space, the channel's name and the LF that ends it. What would end it early, or is not text, is
/// percent-encoded: control characters, `%` itself, and bytes that are not UTF-8.
pub(super) fn channel_prefix(name: &[u8]) -> Box<[u8]> {
    let mut prefix = vec![b' '];
    for chunk in name.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if byte < 0x20 || byte == 0x7f || byte == b'%' {
                encode(byte, &mut prefix);
            } else {
                prefix.push(byte);
            }
        }
        chunk.invalid().iter().for_each(|byte| encode(*byte, &mut prefix));
    }
    prefix.push(b'\n');
    prefix.into()
}

fn encode(byte: u8, into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    into.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a client does.
    fn decode(text: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let [first, behind @ ..] = rest {
            rest = behind;
            if *first == b'%' {
                let digits = std::str::from_utf8(&behind[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &behind[2..];
            } else {
                bytes.push(*first);
            }
        }
        bytes
    }

    #[test]
    fn what_would_end_the_line_is_encoded_and_the_rest_is_not() {
        assert_eq!(&*channel_prefix("chat: é€".as_bytes()), " chat: é€\n".as_bytes());
        assert_eq!(&*channel_prefix(b"a\nb%\x00\x7f"), b" a%0Ab%25%00%7F\n");
        assert_eq!(&*channel_prefix(b"\xff\xc3"), b" %FF%C3\n");
        assert_eq!(&*channel_prefix(b""), b" \n");
    }

    proptest! {
        #[test]
        fn every_name_is_text_on_one_line_and_can_be_read_back(name: Vec<u8>) {
            let prefix = channel_prefix(&name);
            let text = std::str::from_utf8(&prefix).unwrap();
            let line = text.strip_prefix(' ').unwrap().strip_suffix('\n').unwrap();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(decode(line), name);
        }
    }
}
