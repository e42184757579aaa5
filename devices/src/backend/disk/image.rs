use std::fs::File;
use std::io;
use std::sync::Arc;

use vm_memory::VolatileSlice;

use super::Gate;

/// What the host asks of requests, and what it would like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Length in bytes, a multiple of 512. It only ever changes in
    /// [`DiskImage::refresh`].
    pub size: u64,
    /// Bytes that the guest is to address the disk in: 512, or 4096 for a block
    /// device that has such sectors. Requests of 512 bytes are served anyway.
    pub block_size: u32,
    /// Bytes that the host writes at once: transfers that start and end at
    /// multiples of it are cheapest. At least `block_size`.
    pub physical_block_size: u32,
    /// What the addresses and lengths of buffers must be multiples of when a
    /// file is worked on directly ([`Place::File`]); 1 if they may be anything.
    pub memory_align: u32,
    /// Bytes that discards are best made of and aligned to; 0 if discards are
    /// not to be offered.
    pub discard_granularity: u32,
}

/// Where a part of a disk's contents lies.
#[derive(Debug)]
pub enum Place<'d> {
    /// In a file, at the same length: it may be read (or, if that was asked
    /// for, overwritten in place) there without the image's help.
    File {
        /// The file: one of a few, open for as long as the image.
        file: &'d File,
        /// Byte offset in it.
        offset: u64,
    },
    /// Nowhere: it reads as zeros.
    Zeros,
    /// Only the image can tell: use [`DiskImage::read_at`] or `write_at`.
    Elsewhere,
    /// As `Elsewhere`, and the image's [`Gate`] must be held alone meanwhile.
    Alone,
}

/// How writes that have ended become stable.
#[derive(Debug)]
pub enum Stable<'d> {
    /// By one `fdatasync` of this file, which [`DiskImage::flush`] does too.
    File(&'d File),
    /// [`DiskImage::flush`] knows.
    Image,
}

/// What a caller wants to do where something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Overwrite it.
    Write,
}

/// An open image: a disk's contents on the host, shared by all its queues.
///
/// Transfers may fall short or be interrupted: a [`Channel`](super::Channel)
/// repeats them. The device stays within [`Geometry::size`] and never changes
/// a read-only image.
pub trait DiskImage: Send + Sync {
    /// The image's name, for the log.
    fn name(&self) -> String;
    /// Its size and limits.
    fn geometry(&self) -> Geometry;
    /// Whether writes are to be refused; constant.
    fn is_read_only(&self) -> bool;
    /// Where the first of the `len` bytes from byte `offset` lie, and how many
    /// of them lie there in one piece (1 to `len`).
    ///
    /// What is found holds for as long as the caller is in the image's
    /// [`Gate`], which it entered before; forever if there is none.
    ///
    /// # Errors
    /// What the host said, or what is wrong with the image.
    fn place(&self, offset: u64, len: u64, access: Access) -> io::Result<(Place<'_>, u64)>;
    /// What keeps [`DiskImage::discard`], [`DiskImage::write_zeroes`] and writes
    /// to [`Place::Alone`], whose callers hold it alone, apart from all other
    /// transfers, whose callers have entered it. `None` if nothing must be.
    fn gate(&self) -> Option<&Arc<Gate>>;
    /// How a flush of the writes that have ended by now may be done.
    fn stable(&self) -> Stable<'_>;
    /// Reads at byte `offset` into `pieces`, in order; returns how many bytes
    /// came, 0 only at the end.
    ///
    /// # Errors
    /// What the host said.
    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Writes `pieces`, in order, at byte `offset`; returns how many bytes went.
    ///
    /// # Errors
    /// What the host said.
    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Brings all writes so far to stable storage: one `fdatasync`.
    ///
    /// # Errors
    /// What the host said; the writes may then be lost.
    fn flush(&self) -> io::Result<()>;
    /// Gives the space of `len` bytes from byte `offset` back to the host. They
    /// read as zeros or as before.
    ///
    /// # Errors
    /// What the host said. An image that cannot do it has done nothing, and
    /// that is no error.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Makes `len` bytes from byte `offset` read as zeros; with `unmap`, their
    /// space may go back to the host.
    ///
    /// # Errors
    /// What the host said.
    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()>;
    /// Looks at the host's file again; returns whether the size changed.
    ///
    /// # Errors
    /// What the host said.
    fn refresh(&self) -> io::Result<bool>;
}
