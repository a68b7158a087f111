//! Any bytes, to us and to tungstenite: the same messages and verdict, but for the differences
//! listed at `check_against_tungstenite`.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;
use wsbroker_proto::Role;

fuzz_target!(|input: &[u8]| {
    let Some(([flags, max], stream)) = input.split_first_chunk::<2>() else {
        return;
    };
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    // Small enough that the fuzzer can pass it, never below a control frame's length.
    common::check_against_tungstenite(role, 125 + usize::from(*max) * 4, stream);
});
