//! What a guest may do to the serial port and the devices around it.
#![no_main]

use devices::legacy::testing::play_ports;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_ports(data));
