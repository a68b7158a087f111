//! The parser says the same however the bytes are cut into reads.

mod common;
#[path = "common/generate.rs"]
mod generate;

use common::{Said, check_splits, read};
use generate::{damage, damaged, stream};
use proptest::prelude::*;
use wsbroker_proto::{CloseCode, Limits, Opcode, ProtocolError, Role, client};

const LIMITS: Limits = Limits { max_message: 70_000, allow_rsv1: false };

/// A stream with a bit of everything, short enough to try every pair of cuts.
fn sampler() -> Vec<u8> {
    let mut out = Vec::new();
    client::write_frame(&mut out, true, Opcode::Text, "né €😀".as_bytes(), [1, 2, 3, 4]);
    client::write_frame(&mut out, false, Opcode::Text, b"\xf0\x9f", [9, 8, 7, 6]);
    client::write_frame(&mut out, true, Opcode::Ping, b"12345", [5; 4]);
    client::write_frame(&mut out, false, Opcode::Continuation, b"", [5; 4]);
    client::write_frame(&mut out, true, Opcode::Continuation, b"\x98\x80!", [0xff, 0, 0xff, 0]);
    client::write_frame(&mut out, true, Opcode::Binary, &[0xee; 130], [3, 1, 4, 1]);
    client::write_frame(&mut out, true, Opcode::Pong, b"", [0; 4]);
    client::write_close(&mut out, Some(CloseCode::NORMAL), "à la fin", [0x80, 1, 0x80, 1]);
    out
}

#[test]
fn every_pair_of_cuts_gives_the_same() {
    let bytes = sampler();
    let whole = read(Role::Server, &LIMITS, [&bytes[..]]);
    assert_eq!(whole.said.len(), 6);
    assert_eq!(whole.error, None);
    for a in 0..=bytes.len() {
        for b in a..=bytes.len() {
            let split = read(Role::Server, &LIMITS, [&bytes[..a], &bytes[a..b], &bytes[b..]]);
            assert_eq!(split, whole, "cut at {a} and {b}");
        }
    }
}

#[test]
fn every_flipped_bit_gives_the_same_however_it_is_cut() {
    let bytes = sampler();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            check_splits(Role::Server, &LIMITS, &bytes, &[at, at + 1, at / 2]);
        }
    }
}

proptest! {
    #[test]
    fn a_valid_stream_is_understood_however_it_is_cut(
        (masked, stream) in any::<bool>().prop_flat_map(|masked| (Just(masked), stream(masked))),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let role = if masked { Role::Server } else { Role::Client };
        let outcome = check_splits(role, &LIMITS, &stream.bytes, &cuts);
        prop_assert_eq!(outcome.error, None);
        prop_assert_eq!(outcome.said, stream.said);
    }

    #[test]
    fn a_damaged_stream_fails_at_the_same_byte_however_it_is_cut(
        (masked, stream) in any::<bool>().prop_flat_map(|masked| (Just(masked), stream(masked))),
        damage in damage(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        max_message in prop_oneof![Just(70_000usize), 0..300usize],
        allow_rsv1: bool,
    ) {
        let role = if masked { Role::Server } else { Role::Client };
        let bytes = damaged(&stream, masked, &damage);
        check_splits(role, &Limits { max_message, allow_rsv1 }, &bytes, &cuts);
    }

    #[test]
    fn no_message_passes_the_limit_and_none_below_it_is_refused(
        stream in stream(true), max_message in 0..200usize,
    ) {
        let limits = Limits { max_message, allow_rsv1: false };
        let outcome = read(Role::Server, &limits, [&stream.bytes[..]]);
        let fits = |said: &Said| match said {
            Said::Text(payload) | Said::Binary(payload) => payload.len() <= max_message,
            _ => true,
        };
        prop_assert!(outcome.said.iter().all(fits));
        if stream.said.iter().all(fits) {
            prop_assert_eq!((outcome.said, outcome.error), (stream.said, None));
        } else {
            prop_assert_eq!(outcome.error, Some(ProtocolError::MessageTooBig));
        }
    }
}
