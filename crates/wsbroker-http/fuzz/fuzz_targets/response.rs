//! Any bytes as the head of a response of the inner server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_http::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::response(input));
