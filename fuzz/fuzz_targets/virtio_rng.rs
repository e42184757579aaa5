//! What a driver may do to an entropy device, and a device that stands it.
#![no_main]

use devices::virtio::testing::play_rng;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_rng(data));
