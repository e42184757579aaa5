use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Address, Bytes, GuestAddress};
use vmm_core::mem::GuestRam;

use super::chain::Walk;
use super::{Chain, RingError};
use crate::virtio::spec::{AVAIL_F_NO_INTERRUPT, feature};
use crate::virtio::{DeviceIo, Interrupt};

/// A live queue with the memory it lies in and the interrupt it raises.
pub struct Ring {
    /// Which of the device's queues this is.
    index: u16,
    queue: Queue,
    mem: Arc<GuestRam>,
    interrupt: Arc<Interrupt>,
    indirect: bool,
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
        let ring = |(index, queue)| Self {
            index,
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
        let walk = Walk {
            mem,
            table: GuestAddress(self.queue.desc_table()),
            size: self.queue.size(),
            limit: self.queue.max_size(),
            indirect: self.indirect,
        };
        let mut heads = self.queue.iter(mem).map_err(|e| match e {
            virtio_queue::Error::InvalidAvailRingIndex => RingError::AvailIndex,
            _ => RingError::Queue,
        })?;
        heads.next().map(|head| walk.chain(head.head_index())).transpose()
    }

    /// Puts the last `count` popped chains back: the next pop finds them
    /// again. They must not have been used.
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
        let mut next = self.queue.next_used();
        for (head, len) in chains {
            let slot = 4 + 8 * u64::from(next % self.queue.size());
            // A chain of 2³² bytes, all written, is the one that does not fit.
            let len = u32::try_from(*len).unwrap_or(u32::MAX);
            let entry = [u32::from(*head).to_le(), len.to_le()];
            self.mem.write_obj(entry, self.used_ring(slot)).map_err(|_| RingError::Queue)?;
            next = next.wrapping_add(1);
            self.added = self.added.wrapping_add(1);
        }
        self.queue.set_next_used(next);
        // The entries must be out before the index that says so.
        self.mem
            .store(next.to_le(), self.used_ring(2), Ordering::Release)
            .map_err(|_| RingError::Queue)
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
        let wanted = if self.queue.event_idx_enabled() {
            let event = self.load_avail(4 + 2 * u64::from(self.queue.size()))?;
            // Whether the index passed `event` with these chains.
            self.queue.next_used().wrapping_sub(event).wrapping_sub(1) < added
        } else {
            self.load_avail(0)? & AVAIL_F_NO_INTERRUPT == 0
        };
        if wanted {
            self.interrupt.queue_used(self.index);
        }
        Ok(())
    }

    /// An address in the used ring, which was checked to lie in RAM.
    fn used_ring(&self, offset: u64) -> GuestAddress {
        GuestAddress(self.queue.used_ring()).unchecked_add(offset)
    }

    fn load_avail(&self, offset: u64) -> Result<u16, RingError> {
        let addr = GuestAddress(self.queue.avail_ring()).unchecked_add(offset);
        let value = self.mem.load(addr, Ordering::Relaxed).map_err(|_| RingError::Queue)?;
        Ok(u16::from_le(value))
    }

    /// Tells the driver not to ring while the device looks anyway.
    ///
    /// # Errors
    /// [`RingError::Queue`] if the used ring cannot be written.
    pub fn mute(&mut self) -> Result<(), RingError> {
        if !self.queue.ready() {
            return Ok(());
        }
        self.queue.disable_notification(&*self.mem).map_err(|_| RingError::Queue)
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
        self.queue.enable_notification(&*self.mem).map_err(|_| RingError::Queue)
    }

    /// Answers what the driver made available: `answer` gets each chain and
    /// says how many bytes it wrote. Returns true if the device should come
    /// back for more, having had its share of the loop.
    pub fn serve(&mut self, mut answer: impl FnMut(Chain<'_>) -> Result<usize, RingError>) -> bool {
        let mem = self.mem();
        let start = Instant::now();
        self.attempt(|ring| {
            ring.mute()?;
            for _ in 0..BUDGET {
                if let Some(chain) = ring.pop(&mem)? {
                    let head = chain.head;
                    let len = answer(chain)?;
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
