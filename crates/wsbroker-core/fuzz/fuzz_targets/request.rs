//! Any bytes as the head of a request, and what is answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_core::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::request(input));
