use std::sync::Arc;

use vmm_core::bus::SharedDevice;

use super::Root;
use crate::pci::Space;

/// The configuration spaces of bus 0 in memory (PCI Express 3.0 §7.2.2): a
/// page for each function. The functions are conventional ones: past their
/// 256 bytes a page reads as all ones.
pub struct Ecam(Arc<Root>);

impl Ecam {
    /// Size of the window: 32 slots of 8 functions.
    pub const SIZE: u64 = 1 << 20;

    /// The spaces of what is on `root`'s bus.
    pub fn new(root: Arc<Root>) -> Self {
        Self(root)
    }

    /// Slot, function and offset of a byte of the window.
    fn split(offset: u64) -> (u8, u8, u16) {
        let [low, middle, high, ..] = offset.to_le_bytes();
        let slot = high << 1 & 0x1e | middle >> 7;
        (slot, middle >> 4 & 7, u16::from_le_bytes([low, middle & 0xf]))
    }
}

impl SharedDevice for Ecam {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let (slot, function, offset) = Self::split(offset);
        self.0.read_config(slot, function, offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let (slot, function, offset) = Self::split(offset);
        self.0.write_config(slot, function, offset, data);
    }
}

/// Addresses of memory, or ports, that lead to a bus: whichever function
/// decodes one answers there.
pub struct Aperture {
    root: Arc<Root>,
    space: Space,
    base: u64,
}

impl Aperture {
    /// What `root`'s functions decode of `space` from `base` on.
    pub fn new(root: Arc<Root>, space: Space, base: u64) -> Self {
        Self { root, space, base }
    }
}

impl SharedDevice for Aperture {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.root.read(self.space, self.base + offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        self.root.write(self.space, self.base + offset, data);
    }
}
