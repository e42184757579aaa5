use virtio_queue::desc::split::Descriptor;
use vm_memory::{Address, GuestAddress, GuestMemory, VolatileMemory, VolatileSlice};
use vmm_core::mem::GuestRam;

use super::Buffer;
use super::parts::{self, DESC_BYTES};
use crate::virtio::spec::desc;

/// The largest indirect table: `next` has 16 bits.
const TABLE_BYTES: usize = DESC_BYTES * 0xffff;

/// The driver broke a rule of the ring: the device cannot trust it any more
/// and asks for a reset.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The available index runs ahead of what the ring holds.
    #[error("the available ring holds more entries than the queue has")]
    AvailIndex,
    /// A head or `next` is not in its table.
    #[error("descriptor {index} is not in a table of {size}")]
    Index {
        /// The index.
        index: u16,
        /// Descriptors in the table.
        size: u16,
    },
    /// More descriptors than the queue can hold: most likely a loop.
    #[error("a chain of more than {limit} descriptors")]
    TooLong {
        /// The most that a chain may have.
        limit: u16,
    },
    /// More than 2³² bytes (VIRTIO 1.2 §2.7.5.2).
    #[error("a chain of more than 2^32 bytes")]
    TooBig,
    /// A table or buffer that is not all RAM.
    #[error("{len} bytes at {addr:#x} are not in RAM")]
    NotRam {
        /// First guest-physical address.
        addr: u64,
        /// Length in bytes.
        len: u32,
    },
    /// An indirect table where none may be, or of no whole number of entries.
    #[error("a wrong indirect descriptor")]
    Indirect,
    /// A buffer to read after one to write (VIRTIO 1.2 §2.7.4.2).
    #[error("a readable buffer after a writable one")]
    Order,
    /// Buffers of a direction that this queue does not have.
    #[error("buffers of the wrong direction for this queue")]
    Direction,
    /// The rings themselves left RAM.
    #[error("the queue is not in RAM")]
    Queue,
}

/// One request's memory: what the device may read, then what it may write.
///
/// Every descriptor was read once and lies in RAM; the driver can still
/// change the bytes, not the places.
#[derive(Clone, Debug)]
pub struct Chain<'m> {
    /// The descriptor that names the chain in the used ring.
    pub head: u16,
    /// What the device reads.
    pub readable: Buffer<'m>,
    /// What the device writes.
    pub writable: Buffer<'m>,
    /// Where the last byte of that lies, for those who answer there later.
    pub last_writable: Option<GuestAddress>,
}

/// Where descriptors are read, and the limits on a chain.
#[derive(Clone, Copy)]
pub(super) struct Walk<'m> {
    pub(super) mem: &'m GuestRam,
    pub(super) table: VolatileSlice<'m>,
    /// Descriptors in one chain, the indirect ones included.
    pub(super) limit: u16,
    /// Whether the driver accepted indirect descriptors.
    pub(super) indirect: bool,
}

impl<'m> Walk<'m> {
    /// Reads the chain that starts at `head`.
    pub(super) fn chain(mut self, head: u16) -> Result<Chain<'m>, RingError> {
        let mut chain = Chain {
            head,
            readable: Buffer::default(),
            writable: Buffer::default(),
            last_writable: None,
        };
        let mut index = head;
        let mut total = 0;
        for _ in 0..self.limit {
            let mut descriptor = self.descriptor(index)?;
            if descriptor.flags() & desc::INDIRECT != 0 {
                self.enter(descriptor)?;
                descriptor = self.descriptor(0)?;
            }
            if descriptor.flags() & desc::INDIRECT != 0 {
                return Err(RingError::Indirect);
            }
            total += u64::from(descriptor.len());
            if total > 1 << 32 {
                return Err(RingError::TooBig);
            }
            add(self.mem, &mut chain, descriptor)?;
            if descriptor.flags() & desc::NEXT == 0 {
                return Ok(chain);
            }
            index = descriptor.next();
        }
        Err(RingError::TooLong { limit: self.limit })
    }

    fn descriptor(&self, index: u16) -> Result<Descriptor, RingError> {
        let found = self.table.get_ref(DESC_BYTES * usize::from(index));
        found.map(|place| place.load()).map_err(|_| {
            let size = u16::try_from(self.table.len() / DESC_BYTES).unwrap_or(u16::MAX);
            RingError::Index { index, size }
        })
    }

    /// Goes on in the table that `descriptor` points to (VIRTIO 1.2
    /// §2.7.5.3): it ends its own chain, and no table holds another.
    fn enter(&mut self, descriptor: Descriptor) -> Result<(), RingError> {
        let len = descriptor.len();
        let bytes = usize::try_from(len).map_err(|_| RingError::Indirect)?;
        let ends = descriptor.flags() & desc::NEXT == 0;
        let is_whole = bytes.is_multiple_of(DESC_BYTES);
        let is_right = (DESC_BYTES..=TABLE_BYTES).contains(&bytes) && is_whole;
        if !self.indirect || !ends || !is_right {
            return Err(RingError::Indirect);
        }
        let addr = descriptor.addr().0;
        self.indirect = false;
        self.table = parts::find(self.mem, addr, bytes).ok_or(RingError::NotRam { addr, len })?;
        Ok(())
    }
}

fn add<'m>(mem: &'m GuestRam, chain: &mut Chain<'m>, d: Descriptor) -> Result<(), RingError> {
    let to = if d.flags() & desc::WRITE != 0 {
        &mut chain.writable
    } else if chain.writable.is_empty() {
        &mut chain.readable
    } else {
        return Err(RingError::Order);
    };
    let len = usize::try_from(d.len()).map_err(|_| RingError::TooBig)?;
    if len == 0 {
        return Ok(());
    }
    if let Some(piece) = parts::find(mem, d.addr().0, len) {
        to.push(piece);
    } else {
        // What no region holds whole, neighbours may hold together.
        for piece in mem.get_slices(d.addr(), len) {
            to.push(piece.map_err(|_| RingError::NotRam { addr: d.addr().0, len: d.len() })?);
        }
    }
    if d.flags() & desc::WRITE != 0 {
        chain.last_writable = d.addr().checked_add(u64::from(d.len() - 1));
    }
    Ok(())
}
