//! Beside tungstenite: the same messages and the same verdict on valid and on damaged streams. The
//! known differences are listed at `common::check_against_tungstenite`, and each has a test here.

mod common;
#[path = "common/generate.rs"]
mod generate;

use common::{Said, TheirEnd, check_against_tungstenite, read, read_theirs};
use generate::{damage, damaged, stream};
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::Error as TheirError;
use wsbroker_proto::{Limits, Opcode, ProtocolError, Role, client};

const MAX: usize = 70_000;
const LIMITS: Limits = Limits { max_message: MAX, allow_rsv1: false };

fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    client::write_frame(&mut out, fin, opcode, payload, [1, 2, 3, 4]);
    out
}

proptest! {
    #[test]
    fn valid_streams_say_the_same_to_both(
        (masked, stream) in any::<bool>().prop_flat_map(|masked| (Just(masked), stream(masked))),
    ) {
        let role = if masked { Role::Server } else { Role::Client };
        let outcome = check_against_tungstenite(role, MAX, &stream.bytes);
        prop_assert_eq!((outcome.said, outcome.error), (stream.said, None));
    }

    #[test]
    fn damaged_streams_get_the_same_verdict_from_both(
        (masked, stream) in any::<bool>().prop_flat_map(|masked| (Just(masked), stream(masked))),
        damage in damage(),
        max_message in prop_oneof![Just(MAX), 125..400usize],
    ) {
        let role = if masked { Role::Server } else { Role::Client };
        check_against_tungstenite(role, max_message, &damaged(&stream, masked, &damage));
    }

    #[test]
    fn text_of_any_bytes_in_any_fragments_gets_the_same_verdict(
        parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(prop::sample::select(&b"a\x80\x90\xa0\xbf\xc2\xe0\xed\xef\xf0\xf4\xff"[..]), 0..6),
            "\\PC{0,4}".prop_map(String::into_bytes),
        ], 1..5),
    ) {
        let last = parts.len() - 1;
        let stream: Vec<u8> = parts
            .iter()
            .enumerate()
            .flat_map(|(i, part)| {
                frame(i == last, if i == 0 { Opcode::Text } else { Opcode::Continuation }, part)
            })
            .collect();
        let outcome = check_against_tungstenite(Role::Server, MAX, &stream);
        let text = parts.concat();
        let valid = std::str::from_utf8(&text).is_ok();
        prop_assert_eq!(outcome.error, (!valid).then_some(ProtocolError::InvalidUtf8));
    }
}

#[test]
fn every_pair_of_first_bytes_gets_the_same_verdict() {
    for role in [Role::Server, Role::Client] {
        for first in 0..=255 {
            for second in 0..=255 {
                // Enough for the short lengths; the long ones wait or are too long.
                let stream = [&[first, second][..], &[0; 140]].concat();
                check_against_tungstenite(role, 1000, &stream);
                let in_message = [frame(false, Opcode::Text, b"x"), stream].concat();
                check_against_tungstenite(Role::Server, 1000, &in_message);
            }
        }
    }
}

#[test]
fn difference_1_lengths_that_are_not_minimal() {
    let stream = [0x82, 0xfe, 0, 1, 0, 0, 0, 0, b'x'];
    assert_eq!(read(Role::Server, &LIMITS, [&stream[..]]).error, Some(ProtocolError::LengthNotMinimal));
    let (said, end) = read_theirs(Role::Server, MAX, &stream);
    assert_eq!(said, [Said::Binary(b"x".to_vec())]);
    assert!(matches!(end, TheirEnd::Open));

    let stream = [0x89, 0xfe, 0, 1, 0, 0, 0, 0, b'x'];
    assert_eq!(read(Role::Server, &LIMITS, [&stream[..2]]).error, Some(ProtocolError::ControlTooLong));
    assert_eq!(read_theirs(Role::Server, MAX, &stream).0, [Said::Ping(b"x".to_vec())]);
}

#[test]
fn difference_2_bad_text_in_an_unfinished_frame() {
    let mut stream = frame(true, Opcode::Text, b"\xc0......");
    stream.truncate(stream.len() - 3);
    assert_eq!(read(Role::Server, &LIMITS, [&stream[..]]).error, Some(ProtocolError::InvalidUtf8));
    assert!(matches!(read_theirs(Role::Server, MAX, &stream).1, TheirEnd::Open));
    check_against_tungstenite(Role::Server, MAX, &stream);
}

#[test]
fn difference_3_and_4_close_codes() {
    for code in 0..=u16::MAX {
        let stream = frame(true, Opcode::Close, &code.to_be_bytes());
        let outcome = check_against_tungstenite(Role::Server, MAX, &stream);
        let (said, end) = read_theirs(Role::Server, MAX, &stream);
        assert!(matches!(end, TheirEnd::Closed));
        if outcome.error.is_some() || code == 1014 {
            assert_eq!(said, [Said::Close(Some((1002, "Protocol violation".to_owned())))], "{code}");
        } else {
            assert_eq!(said, [Said::Close(Some((code, String::new())))], "{code}");
        }
    }
}

#[test]
fn difference_5_the_first_of_several_faults() {
    // A reserved bit, and a length over the limit.
    let stream = [0xc2, 0xfe, 0x03, 0xe9, 0, 0, 0, 0];
    let ours = check_against_tungstenite(Role::Server, 1000, &stream);
    assert_eq!(ours.error, Some(ProtocolError::ReservedBits));
    assert!(matches!(read_theirs(Role::Server, 1000, &stream).1, TheirEnd::Failed(TheirError::Capacity(_))));

    // A close code that must not be sent, and a reason that is not UTF-8.
    let stream = frame(true, Opcode::Close, b"\x03\xee\xff");
    let ours = check_against_tungstenite(Role::Server, MAX, &stream);
    assert_eq!(ours.error, Some(ProtocolError::InvalidCloseCode(1006)));
    assert!(matches!(read_theirs(Role::Server, MAX, &stream).1, TheirEnd::Failed(TheirError::Utf8(_))));
}
