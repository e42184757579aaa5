//! What a driver may do to a file system device, and a device that stands it.
#![no_main]

use devices::virtio::testing::play_files;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_files(data));
