use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use virtio_queue::{Queue, QueueT};
use vmm_core::mem::GuestRam;

use super::chain::Walk;
use super::{Chain, RingError, parts};
use crate::virtio::spec::{AVAIL_F_NO_INTERRUPT, USED_F_NO_NOTIFY, feature};
use crate::virtio::{DeviceIo, Interrupt};

/// A live queue with the memory it lies in and the interrupt it raises.
pub struct Ring {
    /// Which of the device's queues this is.
    index: u16,
    queue: Queue,
    mem: Arc<GuestRam>,
    interrupt: Arc<Interrupt>,
    indirect: bool,
    /// The available index when it was last read: up to there, chains wait.
    seen_avail: u16,
    /// Chains used since the driver was last considered.
    added: u16,
    /// Whether the driver broke a rule: nothing more is taken from it.
    failed: bool,
}

/// Chains that one wake-up serves before others have their turn on the loop.
const BUDGET: usize = 256;
/// The time after which a wake-up takes no more chains: the loop also carries
/// signals, and a slow disk must not hold them up for a whole queue.
pub(super) const SHARE: Duration = Duration::from_millis(10);

impl Ring {
    /// Takes all queues of `io`, in order.
    pub fn all(io: DeviceIo) -> Vec<Self> {
        let indirect = io.features & feature::INDIRECT_DESC != 0;
        let ring = |(index, queue): (u16, Queue)| Self {
            index,
            seen_avail: queue.next_avail(),
            queue,
            mem: Arc::clone(&io.mem),
            interrupt: Arc::clone(&io.interrupt),
            indirect,
            added: 0,
            failed: false,
        };
        (0..).zip(io.queues).map(ring).collect()
    }

    /// Which of the device's queues this is.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Whether the driver set the queue up.
    pub fn is_ready(&self) -> bool {
        self.queue.ready()
    }

    /// The queue, for somebody else to serve.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The guest's memory, to be held while chains of it are.
    pub fn mem(&self) -> Arc<GuestRam> {
        Arc::clone(&self.mem)
    }

    /// Gives the queue back.
    pub fn into_queue(self) -> Queue {
        self.queue
    }

    /// Gives the queue back, and is left with one that is not `ready()`.
    pub fn take_queue(&mut self) -> Queue {
        let empty = Queue::new(self.queue.max_size()).expect("another queue had this size");
        self.replace_queue(empty)
    }

    /// Goes on with `queue`, as from a start; returns the one before.
    pub fn replace_queue(&mut self, queue: Queue) -> Queue {
        (self.added, self.failed) = (0, false);
        self.seen_avail = queue.next_avail();
        std::mem::replace(&mut self.queue, queue)
    }

    /// Takes the next chain, if the driver made one available. `mem` is what
    /// [`Ring::mem`] gave. A queue that the driver left alone has none.
    ///
    /// # Errors
    /// If the driver broke a rule; the device then asks for a reset.
    pub fn pop<'m>(&mut self, mem: &'m GuestRam) -> Result<Option<Chain<'m>>, RingError> {
        if self.failed || !self.queue.ready() {
            return Ok(None);
        }
        let next = self.queue.next_avail();
        let avail = parts::avail(&self.queue, mem)?;
        if next == self.seen_avail {
            self.seen_avail = parts::load(&avail, parts::INDEX, Ordering::Acquire)?;
        }
        let waiting = self.seen_avail.wrapping_sub(next);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > self.queue.size() {
            return Err(RingError::AvailIndex);
        }
        let entry = parts::avail_entry(&self.queue, next);
        let head = parts::load(&avail, entry, Ordering::Relaxed)?;
        self.queue.set_next_avail(next.wrapping_add(1));
        let walk = Walk {
            mem,
            table: parts::table(&self.queue, mem)?,
            limit: self.queue.max_size(),
            indirect: self.indirect,
        };
        walk.chain(head).map(Some)
    }

    /// Whether a chain is there to be popped. Changes nothing.
    ///
    /// # Errors
    /// [`RingError::Queue`] if the available ring cannot be read.
    pub fn has_more(&self) -> Result<bool, RingError> {
        if !self.queue.ready() {
            return Ok(false);
        }
        let avail = parts::avail(&self.queue, &self.mem)?;
        let index = parts::load(&avail, parts::INDEX, Ordering::Relaxed)?;
        Ok(index != self.queue.next_avail())
    }

    /// Puts the last `count` popped chains back: the next pop finds them
    /// again. None of them may have been used; those before may be in flight.
    pub fn unpop(&mut self, count: u16) {
        self.queue.set_next_avail(self.queue.next_avail().wrapping_sub(count));
    }

    /// The most chains that can be in flight.
    pub fn size(&self) -> u16 {
        self.queue.size()
    }

    /// What the ring's device speaks to the driver through.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Gives chains back to the driver, all at the same instant: for each its
    /// head, and how many bytes the device wrote at the start of its writable
    /// part (VIRTIO 1.2 §2.7.8).
    ///
    /// # Errors
    /// [`RingError::Queue`] if the used ring cannot be written.
    pub fn add_used(&mut self, chains: &[(u16, usize)]) -> Result<(), RingError> {
        let used = parts::used(&self.queue, &self.mem)?;
        let mut next = self.queue.next_used();
        for (head, len) in chains {
            // A chain of 2³² bytes, all written, is the one that does not fit.
            let len = u32::try_from(*len).unwrap_or(u32::MAX);
            parts::store_used(&used, parts::used_entry(&self.queue, next), *head, len)?;
            next = next.wrapping_add(1);
            self.added = self.added.wrapping_add(1);
        }
        self.queue.set_next_used(next);
        // The entries must be out before the index that says so.
        parts::store(&used, parts::INDEX, next, Ordering::Release)
    }

    /// Interrupts the driver if it wants to know of the chains used since
    /// the last call (VIRTIO 1.2 §2.7.7).
    ///
    /// # Errors
    /// [`RingError::Queue`] if the available ring cannot be read.
    pub fn signal(&mut self) -> Result<(), RingError> {
        let added = std::mem::take(&mut self.added);
        if added == 0 {
            return Ok(());
        }
        // The used index must be out before the driver's wish is read.
        fence(Ordering::SeqCst);
        let avail = parts::avail(&self.queue, &self.mem)?;
        let wanted = if self.queue.event_idx_enabled() {
            let event = parts::load(&avail, parts::used_event(&self.queue), Ordering::Relaxed)?;
            // Whether the index passed `event` with these chains.
            self.queue.next_used().wrapping_sub(event).wrapping_sub(1) < added
        } else {
            parts::load(&avail, parts::FLAGS, Ordering::Relaxed)? & AVAIL_F_NO_INTERRUPT == 0
        };
        if wanted {
            self.interrupt.queue_used(self.index);
        }
        Ok(())
    }

    /// Tells the driver not to ring while the device looks anyway. With event
    /// indices that goes without saying: it rings once and then waits for
    /// [`Ring::unmute`].
    ///
    /// # Errors
    /// [`RingError::Queue`] if the used ring cannot be written.
    pub fn mute(&mut self) -> Result<(), RingError> {
        if !self.queue.ready() || self.queue.event_idx_enabled() {
            return Ok(());
        }
        let used = parts::used(&self.queue, &self.mem)?;
        parts::store(&used, parts::FLAGS, USED_F_NO_NOTIFY, Ordering::Relaxed)
    }

    /// Tells the driver to ring from now on; true if a chain came meanwhile,
    /// which the driver may not have rung for: look again.
    ///
    /// # Errors
    /// [`RingError::Queue`] if the rings cannot be reached.
    pub fn unmute(&mut self) -> Result<bool, RingError> {
        if !self.queue.ready() {
            return Ok(false);
        }
        let used = parts::used(&self.queue, &self.mem)?;
        let next = self.queue.next_avail();
        if self.queue.event_idx_enabled() {
            parts::store(&used, parts::avail_event(&self.queue), next, Ordering::Relaxed)?;
        } else {
            parts::store(&used, parts::FLAGS, 0, Ordering::Relaxed)?;
        }
        // The wish must be out before the index is read.
        fence(Ordering::SeqCst);
        let avail = parts::avail(&self.queue, &self.mem)?;
        Ok(parts::load(&avail, parts::INDEX, Ordering::Relaxed)? != next)
    }

    /// Answers what the driver made available: `answer` gets each chain and
    /// says how many bytes it wrote. Returns true if the device should come
    /// back for more, having had its share of the loop.
    pub fn serve(&mut self, mut answer: impl FnMut(Chain<'_>) -> Result<usize, RingError>) -> bool {
        self.serve_while(|chain| answer(chain).map(Some))
    }

    /// The same, but `answer` may say `None`, not now: its chain stays
    /// available, and the device should come back for it when the time comes.
    pub fn serve_while(
        &mut self,
        mut answer: impl FnMut(Chain<'_>) -> Result<Option<usize>, RingError>,
    ) -> bool {
        let mem = self.mem();
        let start = Instant::now();
        self.attempt(|ring| {
            ring.mute()?;
            for _ in 0..BUDGET {
                if let Some(chain) = ring.pop(&mem)? {
                    let head = chain.head;
                    let Some(len) = answer(chain)? else {
                        ring.unpop(1);
                        break;
                    };
                    ring.add_used(&[(head, len)])?;
                    ring.signal()?;
                    if start.elapsed() >= SHARE {
                        break;
                    }
                } else if ring.unmute()? {
                    ring.mute()?;
                } else {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .unwrap_or(false)
    }

    /// Does `work` unless the ring failed; an error fails it, so that the
    /// device asks for a reset and takes nothing more from this ring.
    pub fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, RingError>,
    ) -> Option<T> {
        if self.failed {
            return None;
        }
        work(self)
            .inspect_err(|error| {
                self.failed = true;
                self.interrupt.needs_reset(error);
            })
            .ok()
    }
}
