//! Raw image files and block devices.

mod buffer;
pub(super) mod open;
pub(super) mod space;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vm_memory::VolatileSlice;
use vmm_core::sys;

use self::space::Space;
use super::{Access, CacheMode, DiskError, DiskImage, Gate, Geometry, OpenOptions, Place, Stable};
use crate::virtio::spec::blk::SECTOR_SIZE;

/// A raw image file or a block device, locked for as long as it is open.
#[derive(Debug)]
pub struct RawDisk {
    file: File,
    /// Holds the lock.
    _lock: File,
    path: PathBuf,
    options: OpenOptions,
    space: Space,
    geometry: Geometry,
    size: AtomicU64,
}

impl RawDisk {
    /// Opens and locks `path`: alone, or together with other readers if
    /// `options` say read-only.
    ///
    /// # Errors
    /// [`DiskError`], a sentence that names the path and the remedy.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let open::Opened { file, lock } = open::open(path, options)?;
        let host = |what| move |source| DiskError::Host { path: path.to_owned(), what, source };
        let size = length(&file).map_err(host("find the size of"))?;
        if size == 0 {
            return Err(DiskError::Empty { path: path.to_owned() });
        }
        if !size.is_multiple_of(SECTOR_SIZE) {
            return Err(DiskError::Ragged { path: path.to_owned(), size });
        }
        let metadata = file.metadata().map_err(host("look at"))?;
        let is_device = metadata.file_type().is_block_device();
        let space = Space::new(is_device, options.sparse);
        let geometry = Geometry {
            size,
            block_size: 512,
            physical_block_size: 512,
            memory_align: 1,
            discard_granularity: if options.read_only || !options.sparse {
                0
            } else {
                u32::try_from(metadata.blksize()).unwrap_or(4096)
            },
        };
        let path = path.to_owned();
        Ok(Self { file, _lock: lock, path, options, space, geometry, size: AtomicU64::new(size) })
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
        Geometry { size: self.size.load(Ordering::Relaxed), ..self.geometry }
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn place(&self, offset: u64, len: u64, _access: Access) -> io::Result<(Place<'_>, u64)> {
        Ok((Place::File { file: &self.file, offset }, len))
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        None
    }

    fn stable(&self) -> Stable<'_> {
        match self.options.cache {
            CacheMode::Writeback | CacheMode::Direct => Stable::File(&self.file),
            CacheMode::Unsafe => Stable::Image,
        }
    }

    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        sys::read_at(&self.file, pieces, offset)
    }

    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        sys::write_at(&self.file, pieces, offset)
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
        self.space.write_zeroes(&self.file, offset, len, unmap)
    }

    /// What a grown file has past the last whole sector is left out.
    fn refresh(&self) -> io::Result<bool> {
        let size = length(&self.file)?;
        let size = size - size % SECTOR_SIZE;
        Ok(self.size.swap(size, Ordering::Relaxed) != size)
    }
}
