use std::io;

use vm_memory::VolatileSlice;
use vmm_core::mem::GuestRam;

use super::header::FRAME_MAX;
use crate::backend::net::NetBackend;
use crate::virtio::queue::{Chain, Ring, RingError};
use crate::virtio::spec::net::HEADER_LEN;

/// Packets that one wake-up delivers before other devices have their turn.
const BUDGET: usize = 256;

/// What the receiver waits for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// A packet from the host.
    Packet,
    /// Buffers from the driver.
    Buffers,
    /// Only its next turn on the loop.
    Turn,
    /// Nothing: the host's end is gone.
    Nothing,
}

/// Packets on their way to the guest, one at a time.
pub(super) struct Receiver {
    packet: Vec<u8>,
    /// Length of the packet that waits for buffers; 0 if none does.
    len: usize,
}

/// What became of a packet.
enum Delivery {
    Done,
    NoRoom,
}

impl Receiver {
    pub(super) fn new() -> Self {
        // Zeroed memory costs the host nothing until a packet fills it.
        Self { packet: vec![0; HEADER_LEN + FRAME_MAX], len: 0 }
    }

    /// Forgets the packet that waits.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Moves packets from `backend` to `ring`, in several chains each if they
    /// are `mergeable`.
    pub(super) fn receive(
        &mut self,
        ring: &mut Ring,
        backend: &mut dyn NetBackend,
        mergeable: bool,
    ) -> Wait {
        // While there are buffers, only packets are waited for.
        ring.attempt(Ring::mute);
        for _ in 0..BUDGET {
            if self.len == 0 {
                match backend.receive(&[VolatileSlice::from(&mut self.packet[..])]) {
                    Ok(len) => self.len = len,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Wait::Packet,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        log::warn!("virtio-net: the host's end is gone: {error}");
                        return Wait::Nothing;
                    }
                }
            }
            match ring.attempt(|ring| self.deliver(ring, mergeable)) {
                Some(Delivery::Done) => self.len = 0,
                // A failed ring gets no more buffers either.
                Some(Delivery::NoRoom) | None => return Wait::Buffers,
            }
        }
        Wait::Turn
    }

    /// Copies the packet to the driver's buffers, if there are enough.
    fn deliver(&mut self, ring: &mut Ring, mergeable: bool) -> Result<Delivery, RingError> {
        if self.len < HEADER_LEN {
            return Ok(Delivery::Done);
        }
        let mem = ring.mem();
        let most = if mergeable { ring.size() } else { 1 };
        let Some(chains) = gather(ring, &mem, self.len, most)? else {
            return Ok(Delivery::NoRoom);
        };
        let room: usize = chains.iter().map(|chain| chain.writable.len()).sum();
        let count = u16::try_from(chains.len()).expect("a queue has at most 32768");
        if room < self.len {
            // No buffers that may come could hold it: the packet is dropped.
            ring.unpop(count);
            return Ok(Delivery::Done);
        }
        self.packet[HEADER_LEN - 2..HEADER_LEN].copy_from_slice(&count.to_le_bytes());
        let mut rest = &self.packet[..self.len];
        let mut used = Vec::with_capacity(chains.len());
        for chain in chains {
            let len = chain.writable.copy_from(rest);
            rest = &rest[len..];
            used.push((chain.head, len));
        }
        ring.add_used(&used)?;
        ring.signal()?;
        Ok(Delivery::Done)
    }
}

/// Pops chains that hold `len` bytes together, or `most` if they do not. If
/// the driver made fewer available, it gets them back, and rings for more.
fn gather<'m>(
    ring: &mut Ring,
    mem: &'m GuestRam,
    len: usize,
    most: u16,
) -> Result<Option<Vec<Chain<'m>>>, RingError> {
    let mut chains = Vec::new();
    let (mut room, mut count) = (0, 0);
    while room < len && count < most {
        if let Some(chain) = ring.pop(mem)? {
            if chain.writable.is_empty() {
                return Err(RingError::Direction);
            }
            room += chain.writable.len();
            count += 1;
            chains.push(chain);
        } else if ring.unmute()? {
            ring.mute()?;
        } else {
            // Only now: the driver is to ring for chains after all of these.
            ring.unpop(count);
            return Ok(None);
        }
    }
    Ok(Some(chains))
}
