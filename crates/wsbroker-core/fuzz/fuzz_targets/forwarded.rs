//! Any text in `X-Forwarded-For` and `Forwarded`, before what proxies wrote.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_core::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::forwarded(input));
