//! Any bytes as the header of a proxy, versions 1 and 2.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_core::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::proxy(input));
