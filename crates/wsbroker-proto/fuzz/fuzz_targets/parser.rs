//! Any bytes, cut anywhere: no panic, bounded memory, and the same items and error whatever the
//! cuts.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;
use wsbroker_proto::{Limits, Role};

fuzz_target!(|input: &[u8]| {
    // The first bytes choose settings and cuts, the rest is the stream.
    let Some(([flags, max, cuts @ ..], stream)) = input.split_first_chunk::<6>() else {
        return;
    };
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let max_message = if flags & 4 == 0 { 100_000 } else { usize::from(*max) };
    let limits = Limits { max_message, allow_rsv1: flags & 2 != 0 };
    let cuts = cuts.map(|cut| usize::from(cut) * stream.len() / 256);
    common::check_splits(role, &limits, stream, &cuts);
});
