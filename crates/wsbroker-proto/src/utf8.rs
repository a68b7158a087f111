//! UTF-8 (RFC 3629) for whole messages and for text that arrives in pieces.

use crate::error::ProtocolError;

/// Checks a whole text.
///
/// # Errors
/// [`ProtocolError::InvalidUtf8`].
#[inline]
pub fn check(text: &[u8]) -> Result<(), ProtocolError> {
    simdutf8::basic::from_utf8(text)
        .map(|_| ())
        .map_err(|_| ProtocolError::InvalidUtf8)
}

/// Checks the beginning of a text, and returns how many bytes at its end (0 to 3) belong to a character
/// that is not complete yet. The next call starts with those.
///
/// # Errors
/// [`ProtocolError::InvalidUtf8`] when no continuation could make the text valid: at the first bad byte, not
/// at the end of the character it spoils.
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
