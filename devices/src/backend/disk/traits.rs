use std::io;

use vm_memory::VolatileSlice;

use super::DiskImage;

/// A disk's contents on the host, as one queue without a channel has it.
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

impl<T: DiskImage> DiskBackend for T {
    fn size(&self) -> u64 {
        self.geometry().size
    }

    fn is_read_only(&self) -> bool {
        DiskImage::is_read_only(self)
    }

    fn name(&self) -> String {
        DiskImage::name(self)
    }

    fn read_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        DiskImage::read_at(self, pieces, offset)
    }

    fn write_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        DiskImage::write_at(self, pieces, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        DiskImage::flush(self)
    }
}
