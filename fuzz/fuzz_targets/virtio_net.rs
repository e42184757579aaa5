//! What a driver may do to a network device, and a device that stands it.
#![no_main]

use devices::virtio::testing::play_net;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_net(data));
