use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use vmm_core::bus::SharedDevice;

use super::Root;
use crate::legacy::ResetControl;

/// Offsets of the two registers from the first port. The reset control
/// register lies between: it takes bytes, and the address only 4 at once.
const ADDRESS: u64 = 0;
const RESET: u64 = 1;
const DATA: u64 = 4;

/// The address register's enable bit, and the bits that can be written.
const ENABLE: u32 = 1 << 31;
const WRITABLE: u32 = 0x80ff_fffc;

/// Configuration mechanism #1 (PCI 3.0 §3.2.2.3.2) at ports 0xcf8 to 0xcff:
/// an address register, and the four bytes that it points at.
///
/// It has a PC chipset's reset control register inside.
pub struct ConfigPorts {
    root: Arc<Root>,
    address: AtomicU32,
    reset: Mutex<ResetControl>,
}

impl ConfigPorts {
    /// Number of ports.
    pub const WINDOW: u64 = 8;

    /// The ports of `root`'s bus, around `reset`.
    pub fn new(root: Arc<Root>, reset: ResetControl) -> Self {
        Self { root, address: AtomicU32::new(0), reset: Mutex::new(reset) }
    }

    /// Slot, function and offset that an access to the data register means;
    /// none if the address register is not enabled or names another bus.
    fn target(&self, offset: u64, len: usize) -> Option<(u8, u8, u16)> {
        let byte = u8::try_from(offset.checked_sub(DATA)?).ok()?;
        let address = self.address.load(Ordering::Relaxed);
        let [register, slot_function, bus, _] = address.to_le_bytes();
        if address & ENABLE == 0 || bus != 0 || usize::from(byte) + len > 4 {
            return None;
        }
        Some((slot_function >> 3, slot_function & 7, u16::from(register) + u16::from(byte)))
    }
}

impl SharedDevice for ConfigPorts {
    fn read(&self, offset: u64, data: &mut [u8]) {
        match (offset, data.len()) {
            (ADDRESS, 4) => {
                data.copy_from_slice(&self.address.load(Ordering::Relaxed).to_le_bytes());
            }
            (RESET, 1) => self.reset.read(0, data),
            (_, len) => match self.target(offset, len) {
                Some((slot, function, at)) => self.root.read_config(slot, function, at, data),
                None => data.fill(0xff),
            },
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        match (offset, data) {
            (ADDRESS, &[a, b, c, d]) => {
                let address = u32::from_le_bytes([a, b, c, d]) & WRITABLE;
                self.address.store(address, Ordering::Relaxed);
            }
            (RESET, &[_]) => self.reset.write(0, data),
            _ => {
                if let Some((slot, function, at)) = self.target(offset, data.len()) {
                    self.root.write_config(slot, function, at, data);
                }
            }
        }
    }
}
