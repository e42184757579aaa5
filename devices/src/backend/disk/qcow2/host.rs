use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use vm_memory::VolatileSlice;
use vmm_core::sys::{self, ImageFile};

use super::ordered::SyncFile;
use crate::backend::disk::lock::Locked;
use crate::backend::disk::raw::open::{Opened, open};
use crate::backend::disk::raw::space::Space;
use crate::backend::disk::raw::{direct, length};
use crate::backend::disk::{CacheMode, DiskError, OpenOptions};

/// The largest block of a filesystem that a guest is told of.
const LARGEST_BLOCK: u32 = 4096;

/// A file of the host that an image or a part of it is in, locked for as long
/// as it is open.
#[derive(Debug)]
pub(super) struct HostFile {
    /// For transfers; it passes the page cache by if the options say so.
    transfers: File,
    /// For metadata and new clusters, through the page cache. It holds the
    /// lock.
    cached: Locked,
    /// What transfers must be aligned to; 1 if to nothing.
    align: u32,
    /// At most what the file's length is.
    size: AtomicU64,
    space: Space,
    cache: CacheMode,
    /// Device and inode.
    identity: (u64, u64),
    /// What its filesystem writes and gives space back in, in bytes.
    block_size: u32,
}

impl HostFile {
    /// Opens and locks the file at `path`.
    ///
    /// # Errors
    /// [`DiskError`], a sentence that names the path and the remedy.
    pub(super) fn open(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let Opened { file: transfers, lock: cached } = open(path, options)?;
        let host = |what| move |source| DiskError::Host { path: path.to_owned(), what, source };
        let size = length(&cached).map_err(host("find the size of"))?;
        let metadata = cached.metadata().map_err(host("look at"))?;
        let align = if options.cache == CacheMode::Direct {
            let align = direct::alignment(&transfers).map_err(host("find the alignment of"))?;
            align.ok_or_else(|| DiskError::NoDirect { path: path.to_owned() })?
        } else {
            1
        };
        let block_size = u32::try_from(metadata.blksize()).unwrap_or(LARGEST_BLOCK);
        let space = Space::new(sys::logical_block_size(&*cached).ok(), options.sparse);
        Ok(Self {
            transfers,
            cached,
            align,
            size: AtomicU64::new(size),
            space,
            cache: options.cache,
            identity: (metadata.dev(), metadata.ino()),
            block_size: if block_size.is_power_of_two() {
                block_size.clamp(512, LARGEST_BLOCK)
            } else {
                512
            },
        })
    }

    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    pub(super) fn block_size(&self) -> u32 {
        self.block_size
    }

    /// What transfers must be aligned to; 1 if to nothing.
    pub(super) fn align(&self) -> u32 {
        self.align
    }

    /// The file to transfer an aligned range from or to.
    pub(super) fn transfers(&self) -> &File {
        &self.transfers
    }

    /// The file to write new clusters to.
    pub(super) fn cached(&self) -> &File {
        &self.cached
    }

    /// Reads some of `pieces` from `offset` on, aligned or not.
    pub(super) fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.align == 1 || direct::is_aligned(pieces, offset, self.align) {
            return sys::read_at(&self.transfers, pieces, offset);
        }
        direct::read(&self.transfers, pieces, offset, self.align)
    }

    /// Writes some of `pieces` at `offset`. Nobody else writes what is in the
    /// same blocks.
    pub(super) fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.align == 1 || direct::is_aligned(pieces, offset, self.align) {
            return sys::write_at(&self.transfers, pieces, offset);
        }
        direct::write(&self.transfers, pieces, offset, self.align)
    }

    /// How much of `len` bytes from `offset` on is in the file.
    pub(super) fn within(&self, offset: u64, len: u64) -> io::Result<u64> {
        let available = |size: u64| size.saturating_sub(offset).min(len);
        let known = available(self.size.load(Ordering::Relaxed));
        if known == len {
            return Ok(len);
        }
        let size = length(&self.cached)?;
        self.size.store(size, Ordering::Relaxed);
        Ok(available(size))
    }

    /// Gives the space of `len` bytes from `offset` on back to the host.
    pub(super) fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.space.discard(&self.cached, offset, len)
    }

    /// Makes `len` bytes from `offset` on zeros; with `unmap`, a hole.
    pub(super) fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        self.space.write_zeroes(&self.cached, offset, len, unmap, |pieces, at| {
            sys::write_at(&*self.cached, pieces, at)
        })
    }
}

impl ImageFile for HostFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size.load(Ordering::Relaxed))
    }

    fn read(&self, mut to: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !to.is_empty() {
            match self.cached.read_at(to, offset) {
                Ok(0) => {
                    to.fill(0);
                    break;
                }
                Ok(moved) => {
                    to = &mut to[moved..];
                    offset += u64::try_from(moved).expect("a usize has 64 bits here");
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&self, from: &[u8], offset: u64) -> io::Result<()> {
        self.cached.write_all_at(from, offset)?;
        let len = u64::try_from(from.len()).expect("a usize has 64 bits here");
        self.size.fetch_max(offset + len, Ordering::Relaxed);
        Ok(())
    }

    /// The space is kept: something is about to be written near it.
    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let inside = self.within(offset, len)?;
        if inside > 0 {
            self.write_zeroes(offset, inside, false)?;
        }
        // A file that grows is never cut short: zeros are written at its new end.
        if inside < len { self.cached.write_all_at(&[0], offset + len - 1) } else { Ok(()) }
    }
}

impl SyncFile for HostFile {
    fn sync(&self) -> io::Result<()> {
        match self.cache {
            CacheMode::Writeback | CacheMode::Direct => self.cached.sync_data(),
            CacheMode::Unsafe => Ok(()),
        }
    }
}
