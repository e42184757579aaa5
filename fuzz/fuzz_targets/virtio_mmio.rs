//! What a driver may do to a device's registers, and a device that stands it.
#![no_main]

use devices::virtio::testing::play_mmio;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_mmio(data));
