//! What passt may send, in whatever pieces, and a backend that stands it.
#![no_main]

use devices::backend::net::play_passt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_passt(data));
