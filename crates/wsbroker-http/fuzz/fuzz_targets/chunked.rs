//! Any bytes as a chunked body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_http::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::chunked(input));
