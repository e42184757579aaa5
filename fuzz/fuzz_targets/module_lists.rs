//! Any bytes as the lists of a folder of modules.
#![no_main]

use boot::initramfs::play_lists;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_lists(data));
