//! The three parts of a queue in guest memory (VIRTIO 1.2 §2.7).
//!
//! Each is found in RAM once for an operation, not once for a field: with the
//! walk over descriptors this is what a request costs most.

use std::sync::atomic::Ordering;

use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemory, VolatileMemory, VolatileSlice};
use vmm_core::mem::GuestRam;

use super::RingError;

/// Bytes of a descriptor.
pub(super) const DESC_BYTES: usize = 16;

/// Offset of `flags` in both rings.
pub(super) const FLAGS: usize = 0;
/// Offset of `idx` in both rings.
pub(super) const INDEX: usize = 2;
/// Offset of the entries in both rings.
const ENTRIES: usize = 4;
const AVAIL_BYTES: usize = 2;
const USED_BYTES: usize = 8;

/// All of `len` bytes at `addr`, if one region of RAM holds them.
pub(in crate::virtio) fn find(mem: &GuestRam, addr: u64, len: usize) -> Option<VolatileSlice<'_>> {
    mem.get_slice(GuestAddress(addr), len).ok()
}

/// The descriptor table.
pub(super) fn table<'m>(queue: &Queue, mem: &'m GuestRam) -> Result<VolatileSlice<'m>, RingError> {
    let len = DESC_BYTES * usize::from(queue.size());
    find(mem, queue.desc_table(), len).ok_or(RingError::Queue)
}

/// The available ring, which ends in `used_event`.
pub(super) fn avail<'m>(queue: &Queue, mem: &'m GuestRam) -> Result<VolatileSlice<'m>, RingError> {
    let len = used_event(queue) + 2;
    find(mem, queue.avail_ring(), len).ok_or(RingError::Queue)
}

/// The used ring, which ends in `avail_event`.
pub(super) fn used<'m>(queue: &Queue, mem: &'m GuestRam) -> Result<VolatileSlice<'m>, RingError> {
    let len = avail_event(queue) + 2;
    find(mem, queue.used_ring(), len).ok_or(RingError::Queue)
}

/// Offset of `used_event` in the available ring.
pub(super) fn used_event(queue: &Queue) -> usize {
    ENTRIES + AVAIL_BYTES * usize::from(queue.size())
}

/// Offset of `avail_event` in the used ring.
pub(super) fn avail_event(queue: &Queue) -> usize {
    ENTRIES + USED_BYTES * usize::from(queue.size())
}

/// Offset of the available ring's entry for index `index`.
pub(super) fn avail_entry(queue: &Queue, index: u16) -> usize {
    ENTRIES + AVAIL_BYTES * usize::from(index % queue.size())
}

/// Offset of the used ring's entry for index `index`.
pub(super) fn used_entry(queue: &Queue, index: u16) -> usize {
    ENTRIES + USED_BYTES * usize::from(index % queue.size())
}

/// Reads the field at `offset` of a ring.
pub(super) fn load(
    ring: &VolatileSlice<'_>,
    offset: usize,
    order: Ordering,
) -> Result<u16, RingError> {
    ring.load::<u16>(offset, order).map(u16::from_le).map_err(|_| RingError::Queue)
}

/// Writes the field at `offset` of a ring.
pub(super) fn store(
    ring: &VolatileSlice<'_>,
    offset: usize,
    value: u16,
    order: Ordering,
) -> Result<(), RingError> {
    ring.store(value.to_le(), offset, order).map_err(|_| RingError::Queue)
}

/// Writes an entry at `offset` of the used ring: head and length.
pub(super) fn store_used(
    ring: &VolatileSlice<'_>,
    offset: usize,
    head: u16,
    len: u32,
) -> Result<(), RingError> {
    let entry = [u32::from(head).to_le(), len.to_le()];
    ring.get_ref(offset).map(|place| place.store(entry)).map_err(|_| RingError::Queue)
}
