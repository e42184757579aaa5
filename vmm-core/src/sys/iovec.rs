//! Vectored I/O straight between a descriptor and guest memory.
#![expect(unsafe_code, reason = "readv and writev take raw pointers into guest memory")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use vm_memory::VolatileSlice;

/// The most pieces that one system call takes (`IOV_MAX`).
const MAX_PIECES: usize = 1024;

/// Reads from `file` at byte `offset` into `pieces`, in order, with one
/// `preadv`. Returns how many bytes came; fewer than asked is no error.
///
/// # Errors
/// What the system call said, or `InvalidInput` if `offset` is past 2⁶³ - 1.
pub fn read_at(file: impl AsFd, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    with_iovecs(pieces, Access::WriteGuest, |iov, n| {
        // SAFETY: `with_iovecs` made `iov` of `n` pieces that lie in mappings
        // which the `VolatileSlice`s keep alive during the call.
        unsafe { libc::preadv(file.as_fd().as_raw_fd(), iov, n, offset) }
    })
}

/// Writes `pieces`, in order, to `file` at byte `offset` with one `pwritev`.
/// Returns how many bytes went; fewer than asked is no error.
///
/// # Errors
/// What the system call said, or `InvalidInput` if `offset` is past 2⁶³ - 1.
pub fn write_at(file: impl AsFd, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    with_iovecs(pieces, Access::ReadGuest, |iov, n| {
        // SAFETY: as in `read_at`; the kernel only reads the pieces.
        unsafe { libc::pwritev(file.as_fd().as_raw_fd(), iov, n, offset) }
    })
}

/// Reads from `fd` into `pieces` with one `readv`: one packet from a tap.
///
/// # Errors
/// What the system call said; `WouldBlock` if a non-blocking `fd` has nothing.
pub fn read_once(fd: impl AsFd, pieces: &[VolatileSlice<'_>]) -> io::Result<usize> {
    with_iovecs(pieces, Access::WriteGuest, |iov, n| {
        // SAFETY: as in `read_at`.
        unsafe { libc::readv(fd.as_fd().as_raw_fd(), iov, n) }
    })
}

/// Writes `pieces` to `fd` with one `writev`: one packet to a tap.
///
/// # Errors
/// What the system call said; `WouldBlock` if a non-blocking `fd` is full.
pub fn write_once(fd: impl AsFd, pieces: &[VolatileSlice<'_>]) -> io::Result<usize> {
    with_iovecs(pieces, Access::ReadGuest, |iov, n| {
        // SAFETY: as in `read_at`; the kernel only reads the pieces.
        unsafe { libc::writev(fd.as_fd().as_raw_fd(), iov, n) }
    })
}

enum Access {
    ReadGuest,
    WriteGuest,
}

fn file_offset(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Calls `transfer` with `pieces` as an array of at most [`MAX_PIECES`]
/// iovecs; a longer list becomes a short transfer. Marks written guest pages
/// as dirty.
fn with_iovecs(
    pieces: &[VolatileSlice<'_>],
    access: Access,
    transfer: impl FnOnce(*const libc::iovec, libc::c_int) -> libc::ssize_t,
) -> io::Result<usize> {
    let pieces = &pieces[..pieces.len().min(MAX_PIECES)];
    let guards: Vec<_> = pieces.iter().map(|p| p.ptr_guard_mut()).collect();
    let iovecs: Vec<libc::iovec> = guards
        .iter()
        .map(|g| libc::iovec { iov_base: g.as_ptr().cast(), iov_len: g.len() })
        .collect();
    let count = libc::c_int::try_from(iovecs.len()).expect("MAX_PIECES fits an int");
    let moved = transfer(iovecs.as_ptr(), count);
    let moved = usize::try_from(moved).map_err(|_| io::Error::last_os_error())?;
    if matches!(access, Access::WriteGuest) {
        mark_dirty(pieces, moved);
    }
    Ok(moved)
}

/// Tells the dirty log about the first `moved` bytes of `pieces`.
fn mark_dirty(pieces: &[VolatileSlice<'_>], mut moved: usize) {
    use vm_memory::bitmap::Bitmap;
    for piece in pieces {
        if moved == 0 {
            return;
        }
        let here = moved.min(piece.len());
        piece.bitmap().mark_dirty(0, here);
        moved -= here;
    }
}
