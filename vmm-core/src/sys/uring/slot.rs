use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::iovec;
use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemory, GuestMemoryRegion, MemoryRegionAddress, VolatileSlice};

use crate::mem::GuestRam;

/// The most bytes that one operation moves; the kernel's own limit is higher.
const MAX_LEN: usize = 1 << 30;
/// The most pieces that one operation takes (`IOV_MAX`).
const MAX_PIECES: usize = 1024;

/// Where the bytes of an operation flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Guest pages change.
    ToMemory,
    /// They do not.
    FromMemory,
}

/// What an operation works on: an address and a length, or that many iovecs.
pub(super) enum Target {
    One(*mut u8, u32),
    Many(*const iovec, u32),
}

/// Guest memory that a transfer has still to move, and whether the kernel is
/// at it.
#[derive(Default)]
pub(super) struct Slot {
    /// All pieces, each in RAM. Those before `first` are done with.
    iovecs: Vec<iovec>,
    first: usize,
    left: usize,
    /// Iovecs of an operation that takes only the front of what is left.
    front: Vec<iovec>,
    in_flight: Option<Direction>,
}

// SAFETY: the pointers in a slot are to guest memory, which all threads share
// and which the ring that has the slot keeps mapped.
unsafe impl Send for Slot {}

impl Slot {
    pub(super) fn load(&mut self, ram: &GuestRam, pieces: &[VolatileSlice<'_>]) -> io::Result<()> {
        self.assert_idle();
        self.iovecs.clear();
        self.first = 0;
        self.left = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let base = piece.ptr_guard_mut().as_ptr();
            if region(ram, base, piece.len()).is_none() {
                self.iovecs.clear();
                return Err(io::ErrorKind::InvalidInput.into());
            }
            self.iovecs.push(iovec { iov_base: base.cast(), iov_len: piece.len() });
        }
        self.left = self.iovecs.iter().map(|iovec| iovec.iov_len).sum();
        Ok(())
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn is_aligned(&self, align: usize) -> bool {
        let is_multiple = |value: usize| value & (align - 1) == 0;
        self.rest().iter().all(|iovec| is_multiple(iovec.iov_base.addr() | iovec.iov_len))
    }

    pub(super) fn pieces<'m>(&self, ram: &'m GuestRam, most: usize) -> Vec<VolatileSlice<'m>> {
        self.assert_idle();
        let mut room = most;
        let mut pieces = Vec::new();
        for iovec in self.rest() {
            let len = iovec.iov_len.min(room);
            if len == 0 {
                break;
            }
            room -= len;
            pieces.push(slice(ram, iovec.iov_base.cast(), len));
        }
        pieces
    }

    /// What an operation on the first `most` bytes is given. The pointers are
    /// good until the slot changes.
    pub(super) fn target(&mut self, most: usize) -> Target {
        self.assert_idle();
        let most = most.min(MAX_LEN);
        match self.rest().first() {
            Some(only) if only.iov_len >= most || self.rest().len() == 1 => {
                Target::One(only.iov_base.cast(), length(only.iov_len.min(most)))
            }
            Some(_) if most >= self.left => {
                let rest = self.rest();
                Target::Many(rest.as_ptr(), length(rest.len().min(MAX_PIECES)))
            }
            _ => {
                self.fill_front(most);
                Target::Many(self.front.as_ptr(), length(self.front.len()))
            }
        }
    }

    pub(super) fn read_now(
        &mut self,
        ram: &GuestRam,
        file: BorrowedFd<'_>,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        let target = self.target(most);
        let moved = at_once(offset, |at| match target {
            // SAFETY: `load` checked that the target lies in guest memory,
            // which the ring keeps mapped; the call ends before it returns.
            Target::One(base, len) => unsafe {
                libc::pread(file.as_raw_fd(), base.cast(), bytes(len), at)
            },
            // SAFETY: as above; the slot does not change the iovecs meanwhile.
            Target::Many(iovecs, n) => unsafe {
                libc::preadv(file.as_raw_fd(), iovecs, pieces(n), at)
            },
        })?;
        self.dirty(ram, moved);
        Ok(moved)
    }

    pub(super) fn write_now(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        let target = self.target(most);
        let moved = at_once(offset, |at| match target {
            // SAFETY: as in `read_now`; the kernel only reads.
            Target::One(base, len) => unsafe {
                libc::pwrite(file.as_raw_fd(), base.cast(), bytes(len), at)
            },
            // SAFETY: as in `read_now`; the kernel only reads.
            Target::Many(iovecs, n) => unsafe {
                libc::pwritev(file.as_raw_fd(), iovecs, pieces(n), at)
            },
        })?;
        self.advance(moved);
        Ok(moved)
    }

    fn fill_front(&mut self, mut room: usize) {
        self.front.clear();
        for iovec in self.iovecs[self.first..].iter().take(MAX_PIECES) {
            let len = iovec.iov_len.min(room);
            if len == 0 {
                break;
            }
            room -= len;
            self.front.push(libc::iovec { iov_base: iovec.iov_base, iov_len: len });
        }
    }

    pub(super) fn begin(&mut self, direction: Direction) {
        self.assert_idle();
        self.in_flight = Some(direction);
    }

    /// The kernel is done with it. What it did is told to `moved`.
    pub(super) fn end(&mut self) -> Option<Direction> {
        self.in_flight.take()
    }

    /// Drops the first `moved` bytes; there are at least as many.
    pub(super) fn advance(&mut self, moved: usize) {
        self.assert_idle();
        self.walk(moved, |_, _| {});
    }

    /// As `advance`, and tells the dirty log of pages that were written.
    pub(super) fn dirty(&mut self, ram: &GuestRam, moved: usize) {
        self.assert_idle();
        self.walk(moved, |base, len| {
            slice(ram, base, len).bitmap().mark_dirty(0, len);
        });
    }

    fn walk(&mut self, moved: usize, mut each: impl FnMut(*mut u8, usize)) {
        let mut rest = moved.min(self.left);
        self.left -= rest;
        while rest > 0 {
            let iovec = &mut self.iovecs[self.first];
            let len = iovec.iov_len.min(rest);
            each(iovec.iov_base.cast(), len);
            rest -= len;
            iovec.iov_len -= len;
            iovec.iov_base = iovec.iov_base.wrapping_byte_add(len);
            if iovec.iov_len == 0 {
                self.first += 1;
            }
        }
    }

    fn rest(&self) -> &[iovec] {
        &self.iovecs[self.first..]
    }

    fn assert_idle(&self) {
        assert!(self.in_flight.is_none(), "a slot in flight is the kernel's");
    }
}

/// The region that all of `len` bytes from `base` lie in, and where in it.
fn region(
    ram: &GuestRam,
    base: *mut u8,
    len: usize,
) -> Option<(&vm_memory::GuestRegionMmap<()>, MemoryRegionAddress)> {
    ram.iter().find_map(|region| {
        let at = base.addr().checked_sub(region.as_ptr().addr())?;
        let at = u64::try_from(at).ok()?;
        let end = at.checked_add(u64::try_from(len).ok()?)?;
        (end <= region.len()).then_some((region, MemoryRegionAddress(at)))
    })
}

/// Memory that was checked when it was loaded.
fn slice(ram: &GuestRam, base: *mut u8, len: usize) -> VolatileSlice<'_> {
    let found = region(ram, base, len).and_then(|(region, at)| region.get_slice(at, len).ok());
    found.expect("checked when it was loaded")
}

/// Calls until it is not interrupted.
fn at_once(offset: u64, call: impl Fn(libc::off_t) -> libc::ssize_t) -> io::Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        match usize::try_from(call(offset)) {
            Ok(moved) => return Ok(moved),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn bytes(len: u32) -> usize {
    usize::try_from(len).expect("a usize has 64 bits here")
}

fn pieces(count: u32) -> libc::c_int {
    libc::c_int::try_from(count).expect("at most MAX_PIECES")
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("at most MAX_LEN and MAX_PIECES")
}
