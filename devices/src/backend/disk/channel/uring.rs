use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use vm_memory::{Bytes, VolatileSlice};
use vmm_core::mem::GuestRam;
use vmm_core::sys::uring::{Completion, Uring};
use vmm_sys_util::eventfd::EventFd;

use super::files::Files;
use super::pace::{Pace, Work};
use super::{Channel, Ended, Operation, immediate};
use crate::backend::disk::{Access, DiskImage, Inside, Place, Stable};
use crate::virtio::queue::Buffer;

/// Has the kernel do the operations, many at once.
///
/// An operation has a slot of the ring. What lies in a file goes through the
/// ring piece by piece, one at a time for each operation; what only the image
/// knows is done at once, in this thread.
pub(super) struct UringChannel {
    // Dropped first: it waits for what is in flight.
    ring: Uring,
    /// Held while anything is in flight, if the image has a gate.
    inside: Option<Inside>,
    image: Arc<dyn DiskImage>,
    files: Files,
    pace: Pace,
    /// By slot; `None` is free.
    operations: Vec<Option<Running>>,
    free: Vec<u16>,
    /// Slots with more to do.
    ready: VecDeque<u16>,
    ended: Vec<Ended>,
    completions: Vec<Completion>,
    /// Whether the doorbell rang while nobody waited for it.
    woken: bool,
}

struct Running {
    token: u16,
    kind: Kind,
    /// Whether the ring could not, for now.
    is_refused: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    /// What is left of the slot's memory, and of the disk from this byte on.
    Transfer {
        access: Access,
        offset: u64,
    },
    Flush,
}

/// What became of an operation that was looked at.
enum Step {
    /// The ring has it.
    Queued,
    /// Some of it is done; look again.
    Moved(usize),
    /// Nothing else may run meanwhile.
    Alone {
        len: usize,
    },
    Done,
}

impl UringChannel {
    /// A channel with `depth` operations in flight.
    ///
    /// # Errors
    /// If the host allows no ring.
    pub(super) fn new(
        image: Arc<dyn DiskImage>,
        ram: Arc<GuestRam>,
        depth: u16,
    ) -> io::Result<Self> {
        let depth = depth.max(1);
        Ok(Self {
            ring: Uring::new(ram, depth)?,
            inside: None,
            image,
            files: Files::default(),
            pace: Pace::default(),
            operations: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            ready: VecDeque::new(),
            ended: Vec::new(),
            completions: Vec::new(),
            woken: false,
        })
    }

    fn begin(&mut self, token: u16, kind: Kind) -> u16 {
        let slot = self.free.pop().expect("no more operations than the channel was made for");
        self.operations[usize::from(slot)] = Some(Running { token, kind, is_refused: false });
        slot
    }

    fn transfer(&mut self, token: u16, buffer: &Buffer<'_>, access: Access, offset: u64) {
        let slot = self.begin(token, Kind::Transfer { access, offset });
        match self.ring.load(slot, buffer.pieces()) {
            Ok(()) => self.advance(slot),
            Err(error) => self.finish(slot, Err(error)),
        }
        self.pump();
    }

    fn flush(&mut self, token: u16) {
        match self.image.stable() {
            Stable::File(_) => {
                let slot = self.begin(token, Kind::Flush);
                self.advance(slot);
                self.pump();
            }
            Stable::Image => self.execute(Operation::Flush, token),
        }
    }

    /// Does an operation at once.
    fn execute(&mut self, operation: Operation<'_>, token: u16) {
        let result = immediate::execute(&*self.image, operation);
        self.ended.push(Ended { token, result });
    }

    /// Goes on with all that has more to do.
    fn pump(&mut self) {
        while let Some(slot) = self.ready.pop_front() {
            self.advance(slot);
        }
    }

    /// Does what can be done of an operation until the ring has it or it ends.
    fn advance(&mut self, slot: u16) {
        loop {
            if let Err(error) = self.enter() {
                return self.finish(slot, Err(error));
            }
            match self.step(slot) {
                Ok(Step::Queued) => return,
                Ok(Step::Moved(moved)) => self.shift(slot, moved),
                Ok(Step::Done) => return self.finish(slot, Ok(())),
                Ok(Step::Alone { len }) => match self.alone(slot, len) {
                    Ok(moved) => self.shift(slot, moved),
                    Err(error) => return self.finish(slot, Err(error)),
                },
                Err(error) => return self.finish(slot, Err(error)),
            }
        }
    }

    fn step(&mut self, slot: u16) -> io::Result<Step> {
        let Self { image, ring, files, pace, operations, .. } = self;
        let running = operations[usize::from(slot)].as_mut().expect("it has not ended");
        let is_refused = std::mem::take(&mut running.is_refused);
        let Kind::Transfer { access, offset: at } = running.kind else {
            return self.step_flush(slot, is_refused);
        };
        if ring.left(slot) == 0 {
            return Ok(Step::Done);
        }
        let left = u64::try_from(ring.left(slot)).expect("a usize has 64 bits here");
        let (place, len) = image.place(at, left, access)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        match place {
            Place::File { file, offset } => {
                let align = image.geometry().memory_align;
                if ring.is_aligned(slot, usize::try_from(align).map_err(io::Error::other)?) {
                    if let (Ok(known), false) = (files.known(ring, file), is_refused)
                        && !pace.is_solitary()
                        && !(known.blocks(access, align > 1) && pace.is_at_once(Work::Transfer))
                    {
                        match access {
                            Access::Read => ring.read(slot, known.id, offset, len)?,
                            Access::Write => ring.write(slot, known.id, offset, len)?,
                        }
                        return Ok(Step::Queued);
                    }
                    let moved = pace.measure(Work::Transfer, || match access {
                        Access::Read => ring.read_now(slot, file, offset, len),
                        Access::Write => ring.write_now(slot, file, offset, len),
                    });
                    return moved.and_then(some).map(Step::Moved);
                }
            }
            Place::Zeros if access == Access::Read => {
                ring.pieces(slot, len).iter().try_for_each(fill_with_zeros)?;
                ring.advance(slot, len);
                return Ok(Step::Moved(len));
            }
            Place::Alone => return Ok(Step::Alone { len }),
            Place::Zeros | Place::Elsewhere => {}
        }
        let moved = immediate::advance(&**image, &ring.pieces(slot, len), at, access)?;
        ring.advance(slot, moved);
        Ok(Step::Moved(moved))
    }

    fn step_flush(&mut self, slot: u16, is_refused: bool) -> io::Result<Step> {
        let Self { image, ring, files, pace, .. } = self;
        if let (Stable::File(file), false) = (image.stable(), is_refused)
            && !pace.is_at_once(Work::Flush)
            && let Ok(known) = files.known(ring, file)
        {
            ring.sync_data(slot, known.id)?;
            return Ok(Step::Queued);
        }
        let flush = || immediate::persist(|| image.flush());
        pace.measure(Work::Flush, flush).map(|()| Step::Done)
    }

    /// Moves on by `moved` bytes on the disk.
    fn shift(&mut self, slot: u16, moved: usize) {
        if let Some(Running { kind: Kind::Transfer { offset, .. }, .. }) =
            &mut self.operations[usize::from(slot)]
        {
            *offset += u64::try_from(moved).expect("a usize has 64 bits here");
        }
    }

    /// Moves up to `len` bytes while nothing else runs on the image.
    fn alone(&mut self, slot: u16, len: usize) -> io::Result<usize> {
        self.leave()?;
        let Some(Running { kind: Kind::Transfer { access, offset }, .. }) =
            self.operations[usize::from(slot)]
        else {
            return Ok(0);
        };
        let image = &*self.image;
        let pieces = self.ring.pieces(slot, len);
        let work = || immediate::advance(image, &pieces, offset, access);
        let moved = image.gate().map_or_else(work, |gate| gate.alone(work))?;
        self.ring.advance(slot, moved);
        Ok(moved)
    }

    /// Is inside the image's gate afterwards, and lets others through first
    /// who wait for it.
    fn enter(&mut self) -> io::Result<()> {
        let Some(gate) = self.image.gate().map(Arc::clone) else { return Ok(()) };
        if self.inside.is_some() && gate.is_wanted() {
            self.leave()?;
        }
        self.inside.get_or_insert_with(|| gate.enter());
        Ok(())
    }

    /// Waits for all that is in flight, and leaves the gate.
    fn leave(&mut self) -> io::Result<()> {
        if self.image.gate().is_some() {
            while self.ring.in_flight() > 0 {
                self.ring.wait(None)?;
                self.collect();
            }
            self.inside = None;
        }
        Ok(())
    }

    /// Looks at what the kernel has done. What has more to do becomes ready.
    fn collect(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        self.woken |= self.ring.take(&mut completions);
        for Completion { slot, result } in completions.drain(..) {
            let running = self.operations[usize::from(slot)].as_mut().expect("it has not ended");
            match (running.kind, result) {
                (Kind::Flush, Ok(_)) => self.finish(slot, Ok(())),
                // The image shrank under us, or has no room.
                (_, Ok(0)) => self.finish(slot, Err(ErrorKind::UnexpectedEof.into())),
                (_, Ok(moved)) if self.ring.left(slot) > 0 => {
                    self.shift(slot, moved);
                    self.ready.push_back(slot);
                }
                (_, Ok(_)) => self.finish(slot, Ok(())),
                (_, Err(error)) if is_passing(&error) => {
                    running.is_refused = true;
                    self.ready.push_back(slot);
                }
                (_, Err(error)) => self.finish(slot, Err(error)),
            }
        }
        self.completions = completions;
    }

    fn finish(&mut self, slot: u16, result: io::Result<()>) {
        if let Some(Running { token, .. }) = self.operations[usize::from(slot)].take() {
            self.free.push(slot);
            self.ended.push(Ended { token, result });
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// A file that gives or takes nothing has shrunk under us, or has no room.
fn some(moved: usize) -> io::Result<usize> {
    if moved == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(moved) }
}

fn fill_with_zeros(piece: &VolatileSlice<'_>) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut done = 0;
    while done < piece.len() {
        let here = ZEROS.len().min(piece.len() - done);
        piece.write_slice(&ZEROS[..here], done).map_err(io::Error::other)?;
        done += here;
    }
    Ok(())
}

impl Channel for UringChannel {
    fn engine(&self) -> &'static str {
        "io_uring"
    }

    fn start(&mut self, operation: Operation<'_>, token: u16) {
        self.pace.started();
        match operation {
            Operation::Read { to, offset } => self.transfer(token, &to, Access::Read, offset),
            Operation::Write { from, offset } => self.transfer(token, &from, Access::Write, offset),
            Operation::Flush => self.flush(token),
            Operation::Discard { .. } | Operation::WriteZeroes { .. } => match self.leave() {
                Ok(()) => {
                    self.execute(operation, token);
                    self.pump();
                }
                Err(error) => self.ended.push(Ended { token, result: Err(error) }),
            },
        }
    }

    fn reap(&mut self, ended: &mut Vec<Ended>) {
        // What cannot be passed on now is told by the next wait.
        let _ = self.ring.submit();
        self.collect();
        self.pump();
        if self.ring.in_flight() == 0 {
            self.inside = None;
        }
        ended.append(&mut self.ended);
    }

    fn wait(&mut self, wake: &EventFd, until: Option<Instant>) -> io::Result<()> {
        if !self.ended.is_empty() || std::mem::take(&mut self.woken) {
            return self.ring.submit();
        }
        if self.ring.in_flight() == 0 {
            self.inside = None;
            self.pace.idles();
        }
        self.ring.watch(wake)?;
        self.ring.wait(until)?;
        self.collect();
        self.woken = false;
        self.pump();
        Ok(())
    }
}
