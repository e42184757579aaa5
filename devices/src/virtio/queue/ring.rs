use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_core::mem::GuestRam;

use super::chain::Walk;
use super::{Chain, RingError};
use crate::virtio::spec::{AVAIL_F_NO_INTERRUPT, feature};
use crate::virtio::{DeviceIo, Interrupt};

/// A live queue with the memory it lies in and the interrupt it raises.
pub struct Ring {
    queue: Queue,
    mem: Arc<GuestRam>,
    interrupt: Arc<Interrupt>,
    indirect: bool,
    /// Whether a buffer was used since the driver was last considered.
    used: bool,
    /// Whether the driver broke a rule: nothing more is taken from it.
    failed: bool,
}

/// Chains that one wake-up serves before other devices have their turn.
const BUDGET: usize = 256;

impl Ring {
    /// Takes all queues of `io`, in order.
    pub fn all(io: DeviceIo) -> Vec<Self> {
        let indirect = io.features & feature::INDIRECT_DESC != 0;
        let ring = |queue| Self {
            queue,
            mem: Arc::clone(&io.mem),
            interrupt: Arc::clone(&io.interrupt),
            indirect,
            used: false,
            failed: false,
        };
        io.queues.into_iter().map(ring).collect()
    }

    /// The guest's memory, to be held while chains of it are.
    pub fn mem(&self) -> Arc<GuestRam> {
        Arc::clone(&self.mem)
    }

    /// Gives the queue back.
    pub fn into_queue(self) -> Queue {
        self.queue
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

    /// Gives the chain of `head` back to the driver; the device wrote the
    /// first `len` bytes of its writable part (VIRTIO 1.2 §2.7.8).
    ///
    /// # Errors
    /// [`RingError::Queue`] if the used ring cannot be written.
    pub fn add_used(&mut self, head: u16, len: usize) -> Result<(), RingError> {
        // A chain of 2³² bytes, all written, is the one that does not fit.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.used = true;
        self.queue.add_used(&*self.mem, head, len).map_err(|_| RingError::Queue)
    }

    /// Interrupts the driver if it wants to know of the buffers used since
    /// the last call (VIRTIO 1.2 §2.7.7).
    ///
    /// # Errors
    /// [`RingError::Queue`] if the available ring cannot be read.
    pub fn signal(&mut self) -> Result<(), RingError> {
        if std::mem::take(&mut self.used) && self.is_signal_wanted()? {
            self.interrupt.queue_used();
        }
        Ok(())
    }

    fn is_signal_wanted(&mut self) -> Result<bool, RingError> {
        if self.queue.event_idx_enabled() {
            return self.queue.needs_notification(&*self.mem).map_err(|_| RingError::Queue);
        }
        // The used index must be out before the driver's wish is read.
        fence(Ordering::SeqCst);
        let flags: u16 = self
            .mem
            .load(GuestAddress(self.queue.avail_ring()), Ordering::Relaxed)
            .map_err(|_| RingError::Queue)?;
        Ok(u16::from_le(flags) & AVAIL_F_NO_INTERRUPT == 0)
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
        self.attempt(|ring| {
            ring.mute()?;
            for _ in 0..BUDGET {
                if let Some(chain) = ring.pop(&mem)? {
                    let head = chain.head;
                    let len = answer(chain)?;
                    ring.add_used(head, len)?;
                    ring.signal()?;
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
