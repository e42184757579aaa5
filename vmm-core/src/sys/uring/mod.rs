//! io_uring for transfers between files and guest memory.
//!
//! A [`Uring`] has a fixed number of slots, each for one transfer: guest memory
//! is loaded into a slot, then the slot is read into or written from, as often
//! as it takes to move all of it. The kernel works on that memory after the
//! call has returned, so the ring holds the guest's RAM, refuses whatever does
//! not lie in it, and waits for everything in flight when it is dropped.
//!
//! Files are registered, memory is not: registering it would pin all of the
//! guest's RAM, which then neither is mapped lazily nor comes back, to save a
//! look-up of pages that transfers through the page cache do not make.
#![expect(unsafe_code, reason = "the kernel works on guest memory behind the compiler's back")]

mod setup;
mod slot;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Instant;

use io_uring::squeue::Entry;
use io_uring::types::{Fixed, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use vm_memory::VolatileSlice;
use vmm_sys_util::eventfd::EventFd;

use self::slot::{Direction, Slot, Target};
use crate::mem::GuestRam;

/// The most files that a ring works on.
const FILES: u32 = 32;
/// What the kernel calls the end of a wait for the doorbell; slots have their
/// own numbers.
const WAKE: u64 = u64::MAX;

/// A file that [`Uring::register`] made known to its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(u32);

/// How an operation ended.
#[derive(Debug)]
pub struct Completion {
    /// The slot, which has nothing in flight any more.
    pub slot: u16,
    /// How many bytes moved: perhaps fewer than asked, 0 at the end of a file.
    /// The slot's memory has advanced by as many.
    pub result: io::Result<usize>,
}

/// A ring for one thread: the one that made it.
///
/// From another thread, every call fails where the kernel knows of that
/// restriction; nothing worse happens.
pub struct Uring {
    ring: IoUring,
    slots: Vec<Slot>,
    ram: Arc<GuestRam>,
    files: u32,
    /// Slots whose operation the kernel has or is about to get.
    in_flight: usize,
    /// The doorbell, and whether the ring listens to it.
    wake: Option<(FileId, bool)>,
}

impl Uring {
    /// A ring with this many slots (at least 1), for memory of `ram`.
    ///
    /// # Errors
    /// What the kernel said: `ENOSYS` without io_uring, `EPERM` where a sysctl
    /// or a filter forbids it; `Unsupported` if it lacks what this needs, which
    /// Linux has since 5.13.
    pub fn new(ram: Arc<GuestRam>, slots: u16) -> io::Result<Self> {
        let ring = setup::ring(slots, FILES)?;
        let slots = (0..slots.max(1)).map(|_| Slot::default()).collect();
        Ok(Self { ring, slots, ram, files: 0, in_flight: 0, wake: None })
    }

    /// Makes `file` known. The kernel keeps it open for as long as the ring
    /// lives.
    ///
    /// # Errors
    /// What the kernel said, or `QuotaExceeded` past 32 files.
    pub fn register(&mut self, file: impl AsFd) -> io::Result<FileId> {
        self.register_number(&file.as_fd())
    }

    fn register_number(&mut self, file: &impl AsRawFd) -> io::Result<FileId> {
        if self.files == FILES {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let id = FileId(self.files);
        self.ring.submitter().register_files_update(id.0, &[file.as_raw_fd()])?;
        self.files += 1;
        Ok(id)
    }

    /// Listens to a doorbell from the next [`Uring::wait`] on. There is one for
    /// a ring's life.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn watch(&mut self, wake: &EventFd) -> io::Result<()> {
        if self.wake.is_none() {
            self.wake = Some((self.register_number(wake)?, false));
        }
        Ok(())
    }

    /// Puts `pieces`, in order, into a slot with nothing in flight.
    ///
    /// # Errors
    /// `InvalidInput` if they do not lie in the ring's RAM.
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn load(&mut self, slot: u16, pieces: &[VolatileSlice<'_>]) -> io::Result<()> {
        let slot = &mut self.slots[usize::from(slot)];
        slot.load(&self.ram, pieces)
    }

    /// How many bytes of a slot's memory are still to be moved.
    pub fn left(&self, slot: u16) -> usize {
        self.slots[usize::from(slot)].left()
    }

    /// Whether all addresses and lengths of what is left are multiples of
    /// `align`, which is a power of two.
    pub fn is_aligned(&self, slot: u16, align: usize) -> bool {
        self.slots[usize::from(slot)].is_aligned(align)
    }

    /// The first `most` bytes of what is left of a slot's memory, to be moved
    /// in another way.
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn pieces(&self, slot: u16, most: usize) -> Vec<VolatileSlice<'_>> {
        self.slots[usize::from(slot)].pieces(&self.ram, most)
    }

    /// Says that `moved` bytes have been moved in another way.
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn advance(&mut self, slot: u16, moved: usize) {
        self.slots[usize::from(slot)].advance(moved);
    }

    /// Queues a read of up to `most` bytes at byte `offset` of `file` into what
    /// is left of the slot's memory.
    ///
    /// # Errors
    /// What the kernel said when older operations were passed on to make room.
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn read(&mut self, slot: u16, file: FileId, offset: u64, most: usize) -> io::Result<()> {
        let target = self.slots[usize::from(slot)].target(most);
        let file = Fixed(file.0);
        let entry = match target {
            Target::One(base, len) => opcode::Read::new(file, base, len).offset(offset).build(),
            Target::Many(iovecs, n) => opcode::Readv::new(file, iovecs, n).offset(offset).build(),
        };
        self.queue(slot, Direction::ToMemory, entry)
    }

    /// Queues a write of up to `most` bytes at byte `offset` of `file` from what
    /// is left of the slot's memory.
    ///
    /// # Errors
    /// As [`Uring::read`].
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn write(&mut self, slot: u16, file: FileId, offset: u64, most: usize) -> io::Result<()> {
        let target = self.slots[usize::from(slot)].target(most);
        let file = Fixed(file.0);
        let entry = match target {
            Target::One(base, len) => opcode::Write::new(file, base, len).offset(offset).build(),
            Target::Many(iovecs, n) => opcode::Writev::new(file, iovecs, n).offset(offset).build(),
        };
        self.queue(slot, Direction::FromMemory, entry)
    }

    /// Does a read as [`Uring::read`] would queue it, at once; returns how many
    /// bytes came, 0 at the end. The slot's memory has advanced by as many.
    ///
    /// # Errors
    /// What `preadv` said, if it was not that it was interrupted.
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn read_now(
        &mut self,
        slot: u16,
        file: impl AsFd,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        self.slots[usize::from(slot)].read_now(&self.ram, file.as_fd(), offset, most)
    }

    /// Does a write as [`Uring::write`] would queue it, at once; returns how
    /// many bytes went. The slot's memory has advanced by as many.
    ///
    /// # Errors
    /// What `pwritev` said, if it was not that it was interrupted.
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn write_now(
        &mut self,
        slot: u16,
        file: impl AsFd,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        self.slots[usize::from(slot)].write_now(file.as_fd(), offset, most)
    }

    /// Queues one `fdatasync` of `file`.
    ///
    /// # Errors
    /// As [`Uring::read`].
    ///
    /// # Panics
    /// If the slot has something in flight.
    pub fn sync_data(&mut self, slot: u16, file: FileId) -> io::Result<()> {
        let entry = opcode::Fsync::new(Fixed(file.0)).flags(FsyncFlags::DATASYNC).build();
        self.queue(slot, Direction::FromMemory, entry)
    }

    fn queue(&mut self, slot: u16, direction: Direction, entry: Entry) -> io::Result<()> {
        self.slots[usize::from(slot)].begin(direction);
        if let Err(error) = self.push(&entry.user_data(u64::from(slot))) {
            self.slots[usize::from(slot)].end();
            return Err(error);
        }
        self.in_flight += 1;
        Ok(())
    }

    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.enter(0, None)?;
        }
        // SAFETY: an entry of this file points to nothing, or to iovecs and
        // guest memory of a slot. While the slot is in flight it does not
        // change or move its iovecs, which `load` checked to lie in `ram`; and
        // `drop` frees neither before the kernel is done with them.
        unsafe { self.ring.submission().push(entry) }.map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    /// How many operations have not been seen to end.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Passes on what is queued, if anything is.
    ///
    /// # Errors
    /// What the kernel said, if it was not that it is out of memory for now.
    pub fn submit(&mut self) -> io::Result<()> {
        let queue = self.ring.submission();
        let is_idle = queue.is_empty() && !queue.taskrun() && !queue.cq_overflow();
        drop(queue);
        if is_idle { Ok(()) } else { self.enter(0, None) }
    }

    /// Passes on what is queued and blocks until an operation has ended, the
    /// doorbell has been written since the last wait, `until` has come, or a
    /// signal arrives: one system call, or none if something has ended.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn wait(&mut self, until: Option<Instant>) -> io::Result<()> {
        if let Some((file, false)) = self.wake {
            let events = u32::from(libc::POLLIN.unsigned_abs());
            let listen = opcode::PollAdd::new(Fixed(file.0), events).multi(true).build();
            self.push(&listen.user_data(WAKE))?;
            self.wake = Some((file, true));
        }
        if self.ring.completion().is_empty() { self.enter(1, until) } else { self.submit() }
    }

    /// Passes on what is queued, and waits until `want` have ended.
    fn enter(&mut self, want: usize, until: Option<Instant>) -> io::Result<()> {
        let result = match until {
            None => self.ring.submitter().submit_and_wait(want),
            Some(until) => {
                let left = Timespec::from(until.saturating_duration_since(Instant::now()));
                let args = SubmitArgs::new().timespec(&left);
                self.ring.submitter().submit_with_args(want, &args)
            }
        };
        match result {
            Ok(_) => Ok(()),
            // Its time has come; a signal came; something has ended that must
            // be looked at first; no memory for now. What is queued stays so.
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Appends what has ended; returns whether the doorbell has been written.
    /// Makes no system call.
    pub fn take(&mut self, ended: &mut Vec<Completion>) -> bool {
        let mut is_woken = false;
        let Self { ring, slots, ram, in_flight, wake, .. } = self;
        for entry in ring.completion() {
            if entry.user_data() == WAKE {
                is_woken = true;
                if let Some((_, listens)) = wake {
                    *listens = cqueue::more(entry.flags());
                }
                continue;
            }
            let Some((number, slot)) = u16::try_from(entry.user_data())
                .ok()
                .and_then(|number| Some((number, slots.get_mut(usize::from(number))?)))
            else {
                continue;
            };
            *in_flight -= 1;
            let direction = slot.end();
            let result = usize::try_from(entry.result())
                .map_err(|_| io::Error::from_raw_os_error(-entry.result()));
            match (direction, &result) {
                (Some(Direction::ToMemory), Ok(moved)) => slot.dirty(ram, *moved),
                (_, Ok(moved)) => slot.advance(*moved),
                (_, Err(_)) => {}
            }
            ended.push(Completion { slot: number, result });
        }
        is_woken
    }
}

impl Drop for Uring {
    /// Waits for all that is in flight.
    fn drop(&mut self) {
        let mut ended = Vec::new();
        while self.in_flight > 0 {
            if self.enter(1, None).is_err() {
                // Not this thread's ring: the kernel still works on it.
                std::mem::forget(Arc::clone(&self.ram));
                std::mem::forget(std::mem::take(&mut self.slots));
                return;
            }
            self.take(&mut ended);
        }
        // The files are left to the kernel, which lets go of them soon after.
        // To unregister them would wait, before Linux 6.13, for the doorbell's
        // poll, which never ends.
    }
}
