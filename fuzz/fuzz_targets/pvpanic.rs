//! What a guest may do to the panic device.
#![no_main]

use devices::pvpanic::play_panics;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_panics(data));
