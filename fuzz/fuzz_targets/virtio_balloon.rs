//! What a driver may do to a balloon, and a device that stands it.
#![no_main]

use devices::virtio::testing::play_balloon;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_balloon(data));
