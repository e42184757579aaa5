use std::collections::VecDeque;

use smallvec::SmallVec;
use vm_memory::{Bytes, VolatileSlice};
use vmm_core::mem::GuestRam;

use super::used::Used;
use crate::virtio::queue::{Chain, Ring, RingError};

/// The most pieces of a packet; the host takes one more, for what does not
/// fit.
const MOST_PIECES: usize = 1023;

/// Pieces of memory for one packet.
pub(super) type Pieces<'m> = SmallVec<[VolatileSlice<'m>; 8]>;

/// Buffers of the driver's for packets to come: taken from the ring, and not
/// used yet.
pub(super) struct Room<'m> {
    mem: &'m GuestRam,
    /// The most chains that one packet may use.
    most: usize,
    chains: VecDeque<Chain<'m>>,
    bytes: usize,
}

impl<'m> Room<'m> {
    /// No room yet, in memory `mem`, for packets of at most `most` chains.
    pub(super) fn new(mem: &'m GuestRam, most: u16) -> Self {
        Self { mem, most: most.into(), chains: VecDeque::new(), bytes: 0 }
    }

    /// Takes chains until there is room for `len` bytes, or no chain is left,
    /// or one packet may not use more.
    ///
    /// # Errors
    /// If the driver broke a rule; the device then asks for a reset.
    pub(super) fn fill(&mut self, ring: &mut Ring, len: usize) -> Result<(), RingError> {
        while self.bytes < len && self.chains.len() < self.most {
            let Some(chain) = ring.pop(self.mem)? else { break };
            if chain.writable.is_empty() {
                return Err(RingError::Direction);
            }
            self.bytes += chain.writable.len();
            self.chains.push_back(chain);
        }
        Ok(())
    }

    /// How many bytes there is room for.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one packet may use no more chains than there are.
    pub(super) fn is_all(&self) -> bool {
        self.chains.len() >= self.most
    }

    /// The memory, all but what is too much for one call of the host.
    pub(super) fn pieces(&self) -> Pieces<'_> {
        let mut pieces = Pieces::new();
        for piece in self.chains.iter().flat_map(|chain| chain.writable.pieces()) {
            if pieces.len() == MOST_PIECES {
                break;
            }
            pieces.push(*piece);
        }
        pieces
    }

    /// Copies `from` to byte `offset` of the room, as far as there is room.
    pub(super) fn write(&self, mut offset: usize, mut from: &[u8]) {
        for piece in self.chains.iter().flat_map(|chain| chain.writable.pieces()) {
            if offset < piece.len() && !from.is_empty() {
                let done = piece.write(from, offset).expect("the offset lies in the piece");
                from = &from[done..];
                offset = 0;
            } else {
                offset -= offset.min(piece.len());
            }
        }
    }

    /// Copies the first bytes of the room to `to`.
    pub(super) fn read(&self, to: &mut [u8]) {
        let mut done = 0;
        for piece in self.chains.iter().flat_map(|chain| chain.writable.pieces()) {
            if done == to.len() {
                return;
            }
            done += piece.copy_to(&mut to[done..]);
        }
    }

    /// How many chains the first `len` bytes are in.
    pub(super) fn count(&self, len: usize) -> u16 {
        let mut rest = len;
        let used = self.chains.iter().take_while(|chain| {
            let is_needed = rest > 0;
            rest -= rest.min(chain.writable.len());
            is_needed
        });
        u16::try_from(used.count()).expect("a queue has at most 32768")
    }

    /// Uses the first chains for a packet of `len` bytes that is in them.
    pub(super) fn use_up(&mut self, mut len: usize, used: &mut Used) {
        while len > 0
            && let Some(chain) = self.chains.pop_front()
        {
            let here = len.min(chain.writable.len());
            used.push(chain.head, here);
            self.bytes -= chain.writable.len();
            len -= here;
        }
    }

    /// Gives the ring back what is left.
    pub(super) fn give_back(&mut self, ring: &mut Ring) {
        ring.unpop(u16::try_from(self.chains.len()).expect("a queue has at most 32768"));
        self.chains.clear();
        self.bytes = 0;
    }
}
