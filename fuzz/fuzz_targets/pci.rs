//! What a guest may do to a PCI bus, its functions' windows and MSI-X.
#![no_main]

use devices::pci::testing::play_pci;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| play_pci(data));
