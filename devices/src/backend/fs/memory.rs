//! Guest memory as the library reads and writes files with.

use std::io::{self, ErrorKind, Read, Write};

use fuse_backend_rs::api::filesystem::{ZeroCopyReader, ZeroCopyWriter};
use fuse_backend_rs::file_buf::FileVolatileSlice;
use fuse_backend_rs::file_traits::FileReadWriteVolatile;
use vm_memory::VolatileSlice;
use vm_memory::bitmap::Bitmap;

/// The most pieces that one system call takes (`IOV_MAX`).
const MAX_PIECES: usize = 1024;

/// Pieces of guest memory that a file's bytes go to or come from, once.
pub(super) struct Pieces<'p, 'm>(pub(super) &'p [VolatileSlice<'m>]);

impl Pieces<'_, '_> {
    /// How many bytes they hold.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(VolatileSlice::len).sum()
    }

    /// The first `count` bytes.
    fn first(&self, mut count: usize) -> Vec<FileVolatileSlice<'_>> {
        let mut pieces = Vec::with_capacity(self.0.len().min(MAX_PIECES));
        for piece in self.0.iter().take(MAX_PIECES) {
            let Ok(part) = piece.subslice(0, count.min(piece.len())) else { break };
            if part.is_empty() {
                break;
            }
            count -= part.len();
            pieces.push(FileVolatileSlice::from_volatile_slice(&part));
        }
        pieces
    }

    /// Tells the dirty log about the first `moved` bytes.
    fn mark_dirty(&self, mut moved: usize) {
        for piece in self.0 {
            let here = moved.min(piece.len());
            piece.bitmap().mark_dirty(0, here);
            moved -= here;
        }
    }
}

impl ZeroCopyWriter for Pieces<'_, '_> {
    fn write_from(
        &mut self,
        file: &mut dyn FileReadWriteVolatile,
        count: usize,
        offset: u64,
    ) -> io::Result<usize> {
        let moved = file.read_vectored_at_volatile(&self.first(count), offset)?;
        self.mark_dirty(moved);
        Ok(moved)
    }

    fn available_bytes(&self) -> usize {
        self.size()
    }
}

impl ZeroCopyReader for Pieces<'_, '_> {
    fn read_to(
        &mut self,
        file: &mut dyn FileReadWriteVolatile,
        count: usize,
        offset: u64,
    ) -> io::Result<usize> {
        file.write_vectored_at_volatile(&self.first(count), offset)
    }
}

/// The library's traits ask for it; nothing uses it.
impl Read for Pieces<'_, '_> {
    fn read(&mut self, _to: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// As with `Read`.
impl Write for Pieces<'_, '_> {
    fn write(&mut self, _from: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
