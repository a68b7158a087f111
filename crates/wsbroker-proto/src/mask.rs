//! Masking (RFC 6455, section 5.3): byte `i` of the payload is xored with byte `i mod 4` of the
//! key.

/// Xors `data` with `key`, in place, and tells whether the result is all ASCII.
///
/// Masking and unmasking are the same operation. The ASCII answer comes from the same pass over the
/// bytes, so that text, nearly always ASCII, needs no second one.
///
/// ```
/// use wsbroker_proto::mask;
///
/// let mut data = *b"hello";
/// mask::apply(&mut data, [1, 2, 3, 4]);
/// assert_ne!(&data, b"hello");
/// assert!(mask::apply(&mut data, [1, 2, 3, 4]));
/// assert_eq!(&data, b"hello");
/// ```
#[inline]
pub fn apply(data: &mut [u8], key: [u8; 4]) -> bool {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut seen = 0u64;
    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_ne_bytes(*word) ^ wide;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    // Words are a multiple of the key's length, so the tail begins at the key's first byte.
    let mut seen_tail = 0u8;
    for (byte, key) in tail.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
        seen_tail |= *byte;
    }
    (seen & 0x8080_8080_8080_8080 == 0) & (seen_tail < 0x80)
}

/// The key for the bytes that follow the first `consumed` ones.
///
/// ```
/// assert_eq!(wsbroker_proto::mask::advance([1, 2, 3, 4], 5), [2, 3, 4, 1]);
/// ```
#[inline]
pub fn advance(mut key: [u8; 4], consumed: usize) -> [u8; 4] {
    key.rotate_left(consumed % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_short_length_at_every_alignment_is_as_byte_by_byte() {
        let key = [0x12, 0x80, 0xff, 0x7f];
        for start in 0..8 {
            for len in 0..70 {
                let mut data: Vec<u8> = (0..100).map(|i| (i * 37) as u8).collect();
                let expected: Vec<u8> =
                    data[start..start + len].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
                let ascii = apply(&mut data[start..start + len], key);
                assert_eq!(data[start..start + len], expected);
                assert_eq!(ascii, expected.is_ascii());
            }
        }
    }

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_wherever_it_stands() {
        for len in 1..70 {
            for at in 0..len {
                let mut data = vec![b'a'; len];
                assert!(apply(&mut data, [0; 4]));
                data[at] = 0x80;
                assert!(!apply(&mut data, [0; 4]), "byte {at} of {len}");
            }
        }
    }

    proptest! {
        #[test]
        fn parts_with_an_advanced_key_make_the_whole(
            data: Vec<u8>, key: [u8; 4], cut in any::<prop::sample::Index>(),
        ) {
            let mut whole = data.clone();
            let ascii = apply(&mut whole, key);
            let mut parts = data;
            let cut = cut.index(parts.len() + 1);
            let (a, b) = parts.split_at_mut(cut);
            let ascii_parts = apply(a, key) & apply(b, advance(key, cut));
            prop_assert_eq!(parts, whole);
            prop_assert_eq!(ascii, ascii_parts);
        }
    }
}
