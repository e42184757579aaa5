//! What a driver may do to a socket device, and a device that stands it.
#![no_main]

use devices::virtio::testing::play_vsock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_vsock(data));
