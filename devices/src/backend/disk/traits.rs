use std::io;

use vm_memory::VolatileSlice;

/// A disk's contents on the host.
///
/// Transfers may fall short or be interrupted: the device repeats them. It
/// stays within [`DiskBackend::size`] and never writes to a read-only disk.
pub trait DiskBackend: Send {
    /// Length in bytes, a multiple of 512; constant.
    fn size(&self) -> u64;
    /// Whether writes are to be refused; constant.
    fn is_read_only(&self) -> bool;
    /// The image's name, for the log.
    fn name(&self) -> String;
    /// Reads at byte `offset` into `pieces`, in order; returns how many bytes
    /// came, 0 only at the end.
    ///
    /// # Errors
    /// What the host said.
    fn read_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Writes `pieces`, in order, at byte `offset`; returns how many bytes went.
    ///
    /// # Errors
    /// What the host said.
    fn write_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Brings all writes so far to stable storage.
    ///
    /// # Errors
    /// What the host said; the writes may then be lost.
    fn flush(&mut self) -> io::Result<()>;
}
