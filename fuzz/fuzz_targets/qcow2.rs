//! A qcow2 image of any bytes, opened, read and changed.
#![no_main]

use devices::backend::disk::play_qcow2;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_qcow2(data));
