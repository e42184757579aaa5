//! Raw image files and block devices.

mod buffer;
pub(super) mod direct;
mod limits;
pub(super) mod open;
pub(super) mod space;
#[cfg(test)]
pub(super) mod tests;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vm_memory::VolatileSlice;
use vmm_core::sys;

use self::limits::Limits;
use self::space::Space;
use super::lock::Locked;
use super::{Access, CacheMode, DiskError, DiskImage, Gate, Geometry, OpenOptions, Place, Stable};

/// A raw image file or a block device, locked for as long as it is open.
#[derive(Debug)]
pub struct RawDisk {
    file: File,
    /// Holds the lock.
    _lock: Locked,
    path: PathBuf,
    options: OpenOptions,
    limits: Limits,
    space: Space,
    size: AtomicU64,
    /// Where a write may be smaller than what the host writes: what is around
    /// it is read and written again, and must not change meanwhile.
    gate: Option<Arc<Gate>>,
}

impl RawDisk {
    /// Opens and locks `path`: alone, or together with other readers if
    /// `options` say read-only.
    ///
    /// # Errors
    /// [`DiskError`], a sentence that names the path and the remedy.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let open::Opened { file, lock } = open::open(path, options)?;
        let limits = limits::find(path, &file, options)?;
        Ok(Self {
            file,
            _lock: lock,
            path: path.to_owned(),
            options,
            space: Space::new(limits.device_block, options.sparse),
            size: AtomicU64::new(limits.geometry.size),
            gate: (limits.geometry.memory_align > 512).then(Arc::default),
            limits,
        })
    }

    /// What transfers must be aligned to; 1 if to nothing.
    fn align(&self) -> u32 {
        self.limits.geometry.memory_align
    }
}

/// The length of a file or a block device, in bytes. Seeking works for both;
/// metadata has no size for the latter. Nothing else uses the position.
pub(super) fn length(mut file: &File) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

impl DiskImage for RawDisk {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn geometry(&self) -> Geometry {
        Geometry { size: self.size.load(Ordering::Relaxed), ..self.limits.geometry }
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn place(&self, offset: u64, len: u64, access: Access) -> io::Result<(Place<'_>, u64)> {
        let align = u64::from(self.align());
        let before = offset % align;
        let whole = len - len % align;
        if before == 0 && whole > 0 {
            return Ok((Place::File { file: &self.file, offset }, whole));
        }
        // To the end of the block that is not whole.
        let place = if access == Access::Write { Place::Alone } else { Place::Elsewhere };
        Ok((place, len.min(align - before)))
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    fn stable(&self) -> Stable<'_> {
        match self.options.cache {
            CacheMode::Writeback | CacheMode::Direct => Stable::File(&self.file),
            CacheMode::Unsafe => Stable::Image,
        }
    }

    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.align() == 1 || direct::is_aligned(pieces, offset, self.align()) {
            return sys::read_at(&self.file, pieces, offset);
        }
        direct::read(&self.file, pieces, offset, self.align())
    }

    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.align() == 1 || direct::is_aligned(pieces, offset, self.align()) {
            return sys::write_at(&self.file, pieces, offset);
        }
        direct::write(&self.file, pieces, offset, self.align())
    }

    fn flush(&self) -> io::Result<()> {
        match self.options.cache {
            CacheMode::Writeback | CacheMode::Direct => self.file.sync_data(),
            CacheMode::Unsafe => Ok(()),
        }
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.space.discard(&self.file, offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        let write = |pieces: &[VolatileSlice<'_>], at| self.write_at(pieces, at);
        self.space.write_zeroes(&self.file, offset, len, unmap, write)
    }

    /// What a grown file has past the last whole sector is left out.
    fn refresh(&self) -> io::Result<bool> {
        let size = length(&self.file)?;
        let size = size - size % self.limits.unit;
        Ok(self.size.swap(size, Ordering::Relaxed) != size)
    }
}
