//! Reading what a close frame carries (RFC 6455, section 5.5.1).

use std::borrow::Cow;

use crate::close::{CloseCode, CloseFrame};
use crate::error::ProtocolError;
use crate::item::Payload;

/// Reads a close frame's payload. Empty is `None`: the peer gave no code.
pub(crate) fn decode(payload: Payload<'_>) -> Result<Option<CloseFrame<'_>>, ProtocolError> {
    let code = match *payload.as_ref() {
        [] => return Ok(None),
        [_] => return Err(ProtocolError::CloseTooShort),
        [high, low, ..] => u16::from_be_bytes([high, low]),
    };
    let code = CloseCode::new(code).ok_or(ProtocolError::InvalidCloseCode(code))?;
    let reason = match payload {
        Payload::Borrowed(bytes) => {
            let reason = bytes.get(2..).unwrap_or_default();
            std::str::from_utf8(reason).ok().map(Cow::Borrowed)
        }
        Payload::Owned(mut bytes) => {
            bytes.drain(..2);
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
    };
    let reason = reason.ok_or(ProtocolError::InvalidCloseReason)?;
    Ok(Some(CloseFrame { code, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_both(payload: &[u8]) -> Result<Option<(u16, String)>, ProtocolError> {
        let own = |frame: Option<CloseFrame<'_>>| frame.map(|f| (f.code.get(), f.reason.into_owned()));
        let mut bytes = payload.to_vec();
        let borrowed = decode(Payload::Borrowed(&mut bytes)).map(own);
        assert_eq!(decode(Payload::Owned(payload.to_vec())).map(own), borrowed);
        borrowed
    }

    #[test]
    fn an_empty_payload_has_no_code_and_one_byte_is_an_error() {
        assert_eq!(decode_both(b""), Ok(None));
        assert_eq!(decode_both(b"\x03"), Err(ProtocolError::CloseTooShort));
        assert_eq!(decode_both(b"\x03\xe8"), Ok(Some((1000, String::new()))));
    }

    #[test]
    fn exactly_the_codes_for_the_wire_are_accepted() {
        for code in 0..=u16::MAX {
            let defined = (1000..=1014).contains(&code) && ![1004, 1005, 1006].contains(&code);
            let expected = if defined || (3000..5000).contains(&code) {
                Ok(Some((code, String::new())))
            } else {
                Err(ProtocolError::InvalidCloseCode(code))
            };
            assert_eq!(decode_both(&code.to_be_bytes()), expected);
        }
    }

    #[test]
    fn a_reason_must_be_utf8() {
        let mut payload = 1001u16.to_be_bytes().to_vec();
        payload.extend_from_slice("grüß".as_bytes());
        assert_eq!(decode_both(&payload), Ok(Some((1001, "grüß".to_owned()))));
        payload.truncate(payload.len() - 1);
        let error = decode_both(&payload).unwrap_err();
        assert_eq!(error, ProtocolError::InvalidCloseReason);
        assert_eq!(error.close_code(), CloseCode::INVALID_PAYLOAD);
    }

    #[test]
    fn a_bad_code_is_told_before_a_bad_reason() {
        assert_eq!(decode_both(b"\0\0\xff"), Err(ProtocolError::InvalidCloseCode(0)));
    }
}
