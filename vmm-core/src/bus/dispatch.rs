use std::sync::{Arc, PoisonError, RwLock};

use super::{AddrRange, SharedDevice};

/// Why a device cannot be placed on a bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The window meets one that is taken.
    #[error("the window {new} overlaps {taken}, which another device has")]
    Overlap {
        /// The window asked for.
        new: AddrRange,
        /// The window that is taken.
        taken: AddrRange,
    },
}

/// An address space of devices: ports, or memory without RAM behind it.
///
/// Lock order: the bus lock is released before a device is called, so
/// that a device may call the bus.
#[derive(Default)]
pub struct Bus {
    windows: RwLock<Vec<(AddrRange, Arc<dyn SharedDevice>)>>,
}

impl Bus {
    /// An empty bus.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places `device` at `range`.
    ///
    /// # Errors
    /// [`BusError::Overlap`] if any address of `range` is taken.
    pub fn insert(&self, range: AddrRange, device: Arc<dyn SharedDevice>) -> Result<(), BusError> {
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((taken, _)) = windows.iter().find(|(r, _)| r.overlaps(range)) {
            return Err(BusError::Overlap { new: range, taken: *taken });
        }
        let at = windows.partition_point(|(r, _)| r.base() < range.base());
        windows.insert(at, (range, device));
        Ok(())
    }

    /// Removes the window that starts at `base`; returns whether there was one.
    pub fn remove(&self, base: u64) -> bool {
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        let before = windows.len();
        windows.retain(|(r, _)| r.base() != base);
        windows.len() != before
    }

    /// Carries a guest read. An access that no window holds whole reads as
    /// all ones; returns whether a device answered.
    pub fn read(&self, addr: u64, data: &mut [u8]) -> bool {
        let Some((offset, device)) = self.find(addr, data.len()) else {
            data.fill(0xff);
            return false;
        };
        device.read(offset, data);
        true
    }

    /// Carries a guest write. An access that no window holds whole is
    /// dropped; returns whether a device took it.
    pub fn write(&self, addr: u64, data: &[u8]) -> bool {
        let Some((offset, device)) = self.find(addr, data.len()) else {
            return false;
        };
        device.write(offset, data);
        true
    }

    fn find(&self, addr: u64, len: usize) -> Option<(u64, Arc<dyn SharedDevice>)> {
        if !(1..=8).contains(&len) {
            return None;
        }
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let at = windows.partition_point(|(r, _)| r.base() <= addr).checked_sub(1)?;
        let (range, device) = &windows[at];
        Some((range.offset_of(addr, len)?, Arc::clone(device)))
    }
}
