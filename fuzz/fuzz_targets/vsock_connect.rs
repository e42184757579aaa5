//! What a client of a socket device may say first.
#![no_main]

use devices::backend::vsock::play_greeting;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_greeting(data));
