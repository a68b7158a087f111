//! UTF-8 (RFC 3629) for whole messages and for text that arrives in pieces.

use crate::error::ProtocolError;

/// Checks a whole text.
///
/// # Errors
/// [`ProtocolError::InvalidUtf8`].
#[inline]
pub fn check(text: &[u8]) -> Result<(), ProtocolError> {
    simdutf8::basic::from_utf8(text).map(|_| ()).map_err(|_| ProtocolError::InvalidUtf8)
}

/// Checks the beginning of a text, and returns how many bytes at its end (0 to 3) belong to a
/// character that is not complete yet. The next call starts with those.
///
/// # Errors
/// [`ProtocolError::InvalidUtf8`] when no continuation could make the text valid: at the first bad
/// byte, not at the end of the character it spoils.
///
/// ```
/// use wsbroker_proto::utf8;
///
/// assert_eq!(utf8::check_start("aé".as_bytes())?, 0);
/// assert_eq!(utf8::check_start(b"a\xf0\x9f\x98")?, 3);
/// assert!(utf8::check_start(b"\xf4\x90").is_err());   // beyond U+10FFFF already
/// # Ok::<(), wsbroker_proto::ProtocolError>(())
/// ```
#[inline]
pub fn check_start(text: &[u8]) -> Result<usize, ProtocolError> {
    match simdutf8::compat::from_utf8(text) {
        Ok(_) => Ok(0),
        Err(error) if error.error_len().is_none() => Ok(text.len() - error.valid_up_to()),
        Err(_) => Err(ProtocolError::InvalidUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether some continuation makes `text` valid, by trying: a valid text cut anywhere is a
    /// valid start.
    fn can_become_valid(text: &[u8]) -> bool {
        // No character needs more than three further bytes, and these reach every valid end of one.
        const ENDS: [&[u8]; 7] = [b"", b"\x80", b"\xa0", b"\x80\x80", b"\xa0\x80", b"\x80\x80\x80", b"\x90\x80\x80"];
        ENDS.iter().any(|end| std::str::from_utf8(&[text, end].concat()).is_ok())
    }

    #[test]
    fn the_start_of_every_pair_of_bytes_is_judged_right() {
        for a in 0..=255 {
            for b in 0..=255 {
                for text in [&[a][..], &[a, b], &[a, b, 0x80], &[b'x', a, b, 0xbf, 0xbf]] {
                    assert_eq!(check_start(text).is_ok(), can_become_valid(text), "{text:02x?}");
                    assert_eq!(check(text).is_ok(), std::str::from_utf8(text).is_ok(), "{text:02x?}");
                }
            }
        }
    }

    #[test]
    fn surrogates_overlong_forms_and_what_is_beyond_unicode_fail_at_their_second_byte() {
        for bad in
            [&b"\xed\xa0"[..], b"\xc0", b"\xc1", b"\xe0\x9f", b"\xf0\x8f", b"\xf4\x90", b"\xf5", b"\xff", b"\x80"]
        {
            assert!(check_start(bad).is_err(), "{bad:02x?}");
        }
        for (start, pending) in [(&b"\xed\x9f"[..], 2), (b"\xc2", 1), (b"\xe0\xa0", 2), (b"\xf4\x8f\xbf", 3), (b"", 0)]
        {
            assert_eq!(check_start(start), Ok(pending), "{start:02x?}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_text_cut_anywhere_is_a_valid_start(text: String, cut in any::<prop::sample::Index>()) {
            let bytes = text.as_bytes();
            let start = &bytes[..cut.index(bytes.len() + 1)];
            let pending = check_start(start).unwrap();
            prop_assert!(std::str::from_utf8(&start[..start.len() - pending]).is_ok());
            prop_assert!(pending < 4);
        }

        #[test]
        fn arbitrary_bytes_are_judged_as_the_standard_library_does(bytes: Vec<u8>) {
            prop_assert_eq!(check(&bytes).is_ok(), std::str::from_utf8(&bytes).is_ok());
            prop_assert_eq!(check_start(&bytes).is_ok(), can_become_valid(&bytes));
        }
    }
}
