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
