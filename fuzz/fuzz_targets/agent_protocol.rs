//! Any bytes as what the guest's agent, or the host, says to the other.
#![no_main]

use kiln::agent::protocol::play;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play(data));
