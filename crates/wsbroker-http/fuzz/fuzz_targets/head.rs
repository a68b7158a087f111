//! Any bytes as the head of a request that is to be forwarded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_http::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::head(input));
