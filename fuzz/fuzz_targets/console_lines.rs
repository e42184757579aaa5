//! What a guest may print on a console, and the lines that patterns see of it.
#![no_main]

use devices::backend::console::play_lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_lines(data));
