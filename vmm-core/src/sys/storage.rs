//! Files for the `imago` crate, which reads and writes disk image formats.
#![expect(unsafe_code, reason = "imago's storage trait has unsafe methods")]

use std::fmt;
use std::io;
use std::sync::Arc;

use imago::Storage;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::storage::drivers::CommonStorageHelper;

/// What an image format needs of a file. Offsets and lengths are in bytes.
pub trait ImageFile: fmt::Debug + Send + Sync + 'static {
    /// The file's length.
    ///
    /// # Errors
    /// What the host said.
    fn size(&self) -> io::Result<u64>;
    /// Fills all of `to` from `offset` on; past the file's end with zeros.
    ///
    /// # Errors
    /// What the host said.
    fn read(&self, to: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `from` at `offset`, and makes the file longer if it must.
    ///
    /// # Errors
    /// What the host said; some of it may have been written.
    fn write(&self, from: &[u8], offset: u64) -> io::Result<()>;
    /// Makes `len` bytes from `offset` on read as zeros, and the file longer
    /// if it must.
    ///
    /// # Errors
    /// What the host said; some of it may have been written.
    fn zero(&self, offset: u64, len: u64) -> io::Result<()>;
}

impl<F: ImageFile> ImageFile for Arc<F> {
    fn size(&self) -> io::Result<u64> {
        F::size(self)
    }

    fn read(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        F::read(self, to, offset)
    }

    fn write(&self, from: &[u8], offset: u64) -> io::Result<()> {
        F::write(self, from, offset)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        F::zero(self, offset, len)
    }
}

/// An [`ImageFile`] as the `imago` crate takes it.
///
/// It flushes and syncs nothing: whoever has the file does that.
#[derive(Debug)]
pub struct Stored<F> {
    file: F,
    helper: CommonStorageHelper,
}

impl<F: ImageFile> Stored<F> {
    /// Wraps `file`.
    pub fn new(file: F) -> Self {
        Self { file, helper: CommonStorageHelper::default() }
    }

    /// What was wrapped.
    pub fn file(&self) -> &F {
        &self.file
    }
}

impl<F> fmt::Display for Stored<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("image file")
    }
}

// The methods are unsafe because their callers keep overlapping writes apart;
// nothing here depends on that, so each of them is safe whoever calls it.
impl<F: ImageFile> Storage for Stored<F> {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    // SAFETY: asks nothing of its caller, see above.
    unsafe fn pure_readv(&self, buffers: IoVectorMut<'_>, mut offset: u64) -> io::Result<()> {
        for mut buffer in buffers.into_inner() {
            self.file.read(&mut buffer, offset)?;
            offset = after(offset, buffer.len())?;
        }
        Ok(())
    }

    // SAFETY: asks nothing of its caller, see above.
    unsafe fn pure_writev(&self, buffers: IoVector<'_>, mut offset: u64) -> io::Result<()> {
        for buffer in buffers.into_inner() {
            self.file.write(&buffer, offset)?;
            offset = after(offset, buffer.len())?;
        }
        Ok(())
    }

    // SAFETY: asks nothing of its caller, see above.
    unsafe fn pure_write_zeroes(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.zero(offset, len)
    }

    // SAFETY: asks nothing of its caller, see above.
    unsafe fn pure_write_allocated_zeroes(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.zero(offset, len)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    // SAFETY: asks nothing of its caller, see above.
    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.helper
    }
}

/// The offset `len` bytes past `offset`.
fn after(offset: u64, len: usize) -> io::Result<u64> {
    let len = u64::try_from(len).expect("a usize has 64 bits here");
    offset.checked_add(len).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
