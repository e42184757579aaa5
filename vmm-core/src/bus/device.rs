use std::sync::{Mutex, MutexGuard, PoisonError};

/// A device behind a window of MMIO or port space.
///
/// The bus guarantees `1 <= data.len() <= 8` and that the access lies
/// inside the window. `offset` is in bytes from the window's start.
pub trait BusDevice: Send {
    /// Fills all of `data`, little-endian. Reserved registers read as zero.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// Applies `data`. Writes to read-only registers are ignored.
    fn write(&mut self, offset: u64, data: &[u8]);
}

/// What a bus holds: a device that several vCPUs may reach at once, and that
/// locks for itself. The guarantees of [`BusDevice`] hold here too.
pub trait SharedDevice: Send + Sync {
    /// See [`BusDevice::read`].
    fn read(&self, offset: u64, data: &mut [u8]);
    /// See [`BusDevice::write`].
    fn write(&self, offset: u64, data: &[u8]);
}

impl<D: BusDevice + ?Sized> SharedDevice for Mutex<D> {
    fn read(&self, offset: u64, data: &mut [u8]) {
        lock(self).read(offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        lock(self).write(offset, data);
    }
}

/// A device whose thread panicked is still locked: the panic ends the VM, and
/// until then other vCPUs must not fall over it.
fn lock<D: BusDevice + ?Sized>(device: &Mutex<D>) -> MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}
