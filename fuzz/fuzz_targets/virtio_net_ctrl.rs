//! Commands on the control queue of a network device, and a device that answers each.
#![no_main]

use devices::virtio::testing::play_net_control;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_net_control(data));
