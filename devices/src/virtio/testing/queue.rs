use std::sync::atomic::{Ordering, fence};

use virtio_queue::desc::split::Descriptor;
use vm_memory::{Bytes, GuestAddress};
use vmm_core::mem::GuestRam;

use crate::virtio::spec::desc;

/// One buffer of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Guest-physical address.
    pub addr: u64,
    /// Length in bytes.
    pub len: u32,
    /// Flags of the descriptor; `NEXT` is added where a chain goes on.
    pub flags: u16,
}

/// A buffer that the device reads.
pub fn read_only(addr: u64, len: u32) -> Segment {
    Segment { addr, len, flags: 0 }
}

/// A buffer that the device writes.
pub fn write_only(addr: u64, len: u32) -> Segment {
    Segment { addr, len, flags: desc::WRITE }
}

/// The driver's side of a virtqueue in guest memory.
///
/// Descriptors are handed out in a circle. A test that adds chains faster than
/// the device uses them panics: it would overwrite those in flight.
#[derive(Clone, Debug)]
pub struct DriverQueue {
    /// Entries.
    pub size: u16,
    /// Descriptor table.
    pub desc: u64,
    /// Available ring.
    pub driver: u64,
    /// Used ring.
    pub device: u64,
    next_desc: u16,
    next_avail: u16,
    next_used: u16,
    /// The head of the chain in flight that each descriptor belongs to.
    owners: Vec<Option<u16>>,
    /// Used entries before this one have given their descriptors back.
    settled: u16,
}

impl DriverQueue {
    /// A queue of `size` entries at `base`, which needs 64 KiB for 1024
    /// entries at most.
    pub fn new(base: u64, size: u16) -> Self {
        Self {
            size,
            desc: base,
            driver: base + 0x4000,
            device: base + 0x8000,
            next_desc: 0,
            next_avail: 0,
            next_used: 0,
            owners: vec![None; size.into()],
            settled: 0,
        }
    }

    /// Clears both rings, as a driver does before a start.
    pub fn clear(&mut self, mem: &GuestRam) {
        let zeros = vec![0; 0xc000];
        mem.write_slice(&zeros, GuestAddress(self.desc)).expect("the queue is in RAM");
        (self.next_desc, self.next_avail, self.next_used) = (0, 0, 0);
        self.owners.fill(None);
        self.settled = 0;
    }

    /// Writes descriptor `index` as given.
    pub fn write_desc(&self, mem: &GuestRam, index: u16, segment: Segment, next: u16) {
        write_desc(mem, self.desc, index, segment, next);
    }

    /// Makes `segments` available as one chain; returns its head.
    ///
    /// # Panics
    /// If one of its descriptors is in flight.
    pub fn add(&mut self, mem: &GuestRam, segments: &[Segment]) -> u16 {
        assert!(self.has_room(mem, segments.len()), "the test reuses descriptors in flight");
        let head = self.next_desc;
        let owned = self.next(segments.len());
        owned.for_each(|index| self.owners[index] = Some(head));
        self.add_anyway(mem, segments)
    }

    /// Whether a chain of `count` descriptors can be added.
    pub fn has_room(&mut self, mem: &GuestRam, count: usize) -> bool {
        self.settle(mem);
        count <= self.owners.len() && self.next(count).all(|index| self.owners[index].is_none())
    }

    /// The next `count` descriptors.
    fn next(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, size) = (usize::from(self.next_desc), self.owners.len());
        (first..first + count).map(move |index| index % size)
    }

    /// Takes the descriptors back of what the device has used.
    fn settle(&mut self, mem: &GuestRam) {
        while self.settled != self.used_index(mem) {
            let (used, _) = self.used_entry(mem, self.settled);
            let is_used = |owner: &Option<u16>| owner.is_some_and(|head| u32::from(head) == used);
            self.owners.iter_mut().filter(|owner| is_used(owner)).for_each(|owner| *owner = None);
            self.settled = self.settled.wrapping_add(1);
        }
    }

    /// As [`add`](Self::add), whatever is in flight.
    pub fn add_anyway(&mut self, mem: &GuestRam, segments: &[Segment]) -> u16 {
        let head = self.next_desc;
        for (i, segment) in segments.iter().enumerate() {
            let index = self.next_desc;
            self.next_desc = (index + 1) % self.size;
            let more = if i + 1 < segments.len() { desc::NEXT } else { 0 };
            let segment = Segment { flags: segment.flags | more, ..*segment };
            self.write_desc(mem, index, segment, self.next_desc);
        }
        self.make_available(mem, head);
        head
    }

    /// Makes `segments` available through an indirect table at `table`.
    pub fn add_indirect(&mut self, mem: &GuestRam, table: u64, segments: &[Segment]) -> u16 {
        for (i, segment) in (0..).zip(segments) {
            let more = if usize::from(i) + 1 < segments.len() { desc::NEXT } else { 0 };
            write_desc(mem, table, i, Segment { flags: segment.flags | more, ..*segment }, i + 1);
        }
        let len = 16 * u32::try_from(segments.len()).expect("a short table");
        self.add(mem, &[Segment { addr: table, len, flags: desc::INDIRECT }])
    }

    /// Puts `head` into the available ring, whatever it is.
    pub fn make_available(&mut self, mem: &GuestRam, head: u16) {
        let slot = self.driver + 4 + 2 * u64::from(self.next_avail % self.size);
        mem.write_obj(head, GuestAddress(slot)).expect("the ring is in RAM");
        self.next_avail = self.next_avail.wrapping_add(1);
        self.set_avail_index(mem, self.next_avail);
    }

    /// Writes the available index, whatever it is.
    pub fn set_avail_index(&self, mem: &GuestRam, index: u16) {
        mem.store(index, GuestAddress(self.driver + 2), Ordering::Release)
            .expect("the ring is in RAM");
    }

    /// Writes the `flags` of the available ring.
    pub fn set_avail_flags(&self, mem: &GuestRam, flags: u16) {
        mem.write_obj(flags, GuestAddress(self.driver)).expect("the ring is in RAM");
    }

    /// Whether the device wants to be told of the last `added` chains
    /// (VIRTIO 1.2 §2.7.10.1).
    pub fn is_kick_wanted(&self, mem: &GuestRam, added: u16, event_idx: bool) -> bool {
        fence(Ordering::SeqCst);
        if event_idx {
            let event = self.avail_event(mem);
            return self.next_avail.wrapping_sub(event).wrapping_sub(1) < added;
        }
        let flags: u16 = mem.read_obj(GuestAddress(self.device)).expect("the ring is in RAM");
        flags & 1 == 0
    }

    /// Asks for an interrupt when the next chain is used.
    pub fn ask_for_next(&self, mem: &GuestRam) {
        self.set_used_event(mem, self.next_used);
        fence(Ordering::SeqCst);
    }

    /// Asks for an interrupt when entry `index` is used.
    pub fn set_used_event(&self, mem: &GuestRam, index: u16) {
        let at = self.driver + 4 + 2 * u64::from(self.size);
        mem.write_obj(index, GuestAddress(at)).expect("the ring is in RAM");
    }

    /// At which available index the device wants to be told.
    pub fn avail_event(&self, mem: &GuestRam) -> u16 {
        let at = self.device + 4 + 8 * u64::from(self.size);
        mem.read_obj(GuestAddress(at)).expect("the ring is in RAM")
    }

    /// Takes the next used entry: head and length.
    pub fn used(&mut self, mem: &GuestRam) -> Option<(u32, u32)> {
        if self.used_index(mem) == self.next_used {
            return None;
        }
        let entry = self.used_entry(mem, self.next_used);
        self.next_used = self.next_used.wrapping_add(1);
        Some(entry)
    }

    fn used_index(&self, mem: &GuestRam) -> u16 {
        mem.load(GuestAddress(self.device + 2), Ordering::Acquire).expect("the ring is in RAM")
    }

    fn used_entry(&self, mem: &GuestRam, index: u16) -> (u32, u32) {
        let slot = self.device + 4 + 8 * u64::from(index % self.size);
        let [head, len]: [u32; 2] = mem.read_obj(GuestAddress(slot)).expect("the ring is in RAM");
        (head, len)
    }
}

/// Writes entry `index` of the descriptor table at `table`.
pub fn write_desc(mem: &GuestRam, table: u64, index: u16, s: Segment, next: u16) {
    let at = GuestAddress(table + 16 * u64::from(index));
    let entry = Descriptor::new(s.addr, s.len, s.flags, next);
    mem.write_obj(entry, at).expect("the table is in RAM");
}
