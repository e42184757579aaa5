use virtio_queue::{Queue, QueueState};
use vmm_core::mem::GuestRam;

use crate::virtio::queue::find;

/// The three parts of a split virtqueue (VIRTIO 1.2 §2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingPart {
    /// The descriptor table.
    Desc,
    /// The available ring, which the driver writes.
    Driver,
    /// The used ring, which the device writes.
    Device,
}

/// One queue's registers, as the driver left them.
///
/// Anything may be written until the queue is made ready; what is wrong then
/// keeps it from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSetup {
    max_size: u16,
    size: u32,
    desc: u64,
    driver: u64,
    device: u64,
    ready: bool,
    /// Whether the queue was reset alone and not made ready since.
    was_reset: bool,
}

impl QueueSetup {
    /// A queue of at most `max_size` entries, as after a reset.
    pub fn new(max_size: u16) -> Self {
        Self {
            max_size,
            size: u32::from(max_size),
            desc: 0,
            driver: 0,
            device: 0,
            ready: false,
            was_reset: false,
        }
    }

    /// The same queue after a reset of it alone (VIRTIO 1.2 §2.6.1): its
    /// registers may be written again though the driver is live.
    pub fn after_reset(&self) -> Self {
        Self { was_reset: true, ..Self::new(self.max_size) }
    }

    /// Whether it was reset alone and does not run again yet.
    pub fn was_reset(&self) -> bool {
        self.was_reset
    }

    /// The queue for the device to run again; the registers are frozen.
    pub fn restarted(&mut self, event_idx: bool) -> Queue {
        self.was_reset = false;
        self.queue(event_idx)
    }

    /// The largest size, in entries.
    pub fn max_size(&self) -> u16 {
        self.max_size
    }

    /// The size that the driver wrote, in entries; the largest at first.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Whether the driver may use the queue.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Guest-physical address of `part`.
    pub fn address(&self, part: RingPart) -> u64 {
        match part {
            RingPart::Desc => self.desc,
            RingPart::Driver => self.driver,
            RingPart::Device => self.device,
        }
    }

    /// Sets the size; ignored once the queue is ready.
    pub fn set_size(&mut self, size: u32) {
        if !self.ready {
            self.size = size;
        }
    }

    /// Sets the address of `part`; ignored once the queue is ready.
    pub fn set_address(&mut self, part: RingPart, address: u64) {
        if self.ready {
            return;
        }
        match part {
            RingPart::Desc => self.desc = address,
            RingPart::Driver => self.driver = address,
            RingPart::Device => self.device = address,
        }
    }

    /// Makes the queue ready if its size and addresses are right, or takes
    /// it back.
    pub fn set_ready(&mut self, ready: bool, mem: &GuestRam) {
        self.ready = ready && self.fits(mem);
    }

    /// VIRTIO 1.2 §2.7: the size is a power of two within the limit, each part
    /// is aligned and lies in one piece of RAM.
    fn fits(&self, mem: &GuestRam) -> bool {
        if !self.size.is_power_of_two() || self.size > u32::from(self.max_size) {
            return false;
        }
        let in_ram = |addr: u64, align: u64, fixed: u32, entry: u32| {
            let len = usize::try_from(fixed + entry * self.size).expect("far below 2^32");
            addr != 0 && addr.is_multiple_of(align) && find(mem, addr, len).is_some()
        };
        // Each ring is flags, index, entries and an event index.
        in_ram(self.desc, 16, 0, 16) && in_ram(self.driver, 2, 6, 2) && in_ram(self.device, 4, 6, 8)
    }

    /// The queue for the device, empty so far.
    pub fn queue(&self, event_idx: bool) -> Queue {
        let size = u16::try_from(self.size).ok().filter(|_| self.ready).unwrap_or(self.max_size);
        let part = |address| if self.ready { address } else { 0 };
        let state = QueueState {
            max_size: self.max_size,
            next_avail: 0,
            next_used: 0,
            event_idx_enabled: event_idx,
            size,
            ready: self.ready,
            desc_table: part(self.desc),
            avail_ring: part(self.driver),
            used_ring: part(self.device),
        };
        Queue::try_from(state).expect("a ready queue was checked, and another has no addresses")
    }
}
