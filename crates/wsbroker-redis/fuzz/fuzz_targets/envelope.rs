//! Any bytes as an envelope of the server helper, from Redis.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_redis::relay_fuzzing;

fuzz_target!(|input: &[u8]| relay_fuzzing::envelope(input));
