//! Close frames with any payload: accepted exactly when the code may be sent and the reason is
//! UTF-8, and what was accepted can be written and read again.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use common::{Said, check_splits, read};
use libfuzzer_sys::fuzz_target;
use wsbroker_proto::{CloseCode, Limits, MAX_CONTROL, Opcode, ProtocolError, Role, client, write_close};

const LIMITS: Limits = Limits { max_message: 0, allow_rsv1: false };

fuzz_target!(|input: &[u8]| {
    let Some((key, payload)) = input.split_first_chunk::<4>() else {
        return;
    };
    let payload = &payload[..payload.len().min(MAX_CONTROL)];
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, Opcode::Close, payload, *key);
    let outcome = check_splits(Role::Server, &LIMITS, &frame, &[usize::from(key[0])]);

    let expected = match payload {
        [] => Ok(None),
        [_] => Err(ProtocolError::CloseTooShort),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            match std::str::from_utf8(reason) {
                _ if !CloseCode::is_sendable(code) => Err(ProtocolError::InvalidCloseCode(code)),
                Ok(reason) => Ok(Some((code, reason.to_owned()))),
                Err(_) => Err(ProtocolError::InvalidCloseReason),
            }
        }
    };
    match expected {
        Ok(close) => {
            assert_eq!(outcome.error, None);
            assert_eq!(outcome.said, [Said::Close(close.clone())]);
            let (code, reason) = close.map_or((None, String::new()), |(code, reason)| (CloseCode::new(code), reason));
            let mut again = Vec::new();
            write_close(&mut again, code, &reason);
            assert_eq!(read(Role::Client, &LIMITS, [&again[..]]), outcome);
        }
        Err(error) => {
            assert_eq!(outcome.error, Some(error));
            assert!(outcome.said.is_empty());
        }
    }
});
