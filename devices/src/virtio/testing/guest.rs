use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use event_manager::{EventManager, SubscriberOps};
use vm_memory::{Bytes, GuestAddress};
use vmm_core::mem::{GuestRam, RamRegion, allocate};

use super::{DriverQueue, MmioRegisters, Registers, TestDoorbells, TestLine};
use crate::virtio::spec::status;
use crate::virtio::transport::RingPart;
use crate::virtio::{Subscriber, VirtioDevice};

/// The test guest's RAM: two regions with a hole between, and a big one that
/// nothing touches, so that the host does not have to have it.
pub const RAM: [RamRegion; 3] = [
    RamRegion { base: 0, size: 0x40_0000 },
    RamRegion { base: 0x80_0000, size: 0x10_0000 },
    RamRegion { base: 4 << 30, size: 3 << 30 },
];

/// Wake-ups after which a device that still has events counts as spinning.
const REST: usize = 10_000;

/// Fresh memory for a test guest.
pub fn ram() -> Arc<GuestRam> {
    Arc::new(allocate(&RAM).expect("the host has memory for a test"))
}

/// What a device is connected to.
#[derive(Clone)]
pub struct Wiring {
    /// The guest's memory.
    pub mem: Arc<GuestRam>,
    /// The device's interrupt line.
    pub line: Arc<TestLine>,
    /// What catches notifications.
    pub doorbells: Arc<TestDoorbells>,
}

impl Wiring {
    /// Fresh memory, and a host that catches notifications.
    pub fn new() -> Self {
        Self { mem: ram(), line: Arc::default(), doorbells: Arc::default() }
    }
}

impl Default for Wiring {
    fn default() -> Self {
        Self::new()
    }
}

/// A driver, its memory, and the event loop of its device.
pub struct Guest<R: Registers> {
    /// The guest's memory.
    pub mem: Arc<GuestRam>,
    /// The device.
    pub regs: R,
    /// The device's interrupt line.
    pub line: Arc<TestLine>,
    /// What catches the driver's notifications.
    pub doorbells: Arc<TestDoorbells>,
    /// The queues, once set up. Queue 0 lies at 0x1_0000, the next 64 KiB on.
    pub queues: Vec<DriverQueue>,
    events: SharedLoop,
}

/// An event loop that several test guests share.
pub type SharedLoop = Arc<Mutex<EventManager<Subscriber>>>;

impl Guest<MmioRegisters> {
    /// A guest with `device` behind virtio-mmio.
    pub fn mmio(device: impl VirtioDevice + 'static) -> Self {
        Self::new(device)
    }
}

impl<R: Registers> Guest<R> {
    /// A guest with `device`, which has a loop to itself.
    pub fn new(device: impl VirtioDevice + 'static) -> Self {
        Self::wired(Wiring::new(), device)
    }

    /// A guest with `device` connected to `wiring`, which has a loop to itself.
    pub fn wired(wiring: Wiring, device: impl VirtioDevice + 'static) -> Self {
        let events = EventManager::new().expect("the host has a descriptor");
        Self::connect(&Arc::new(Mutex::new(events)), wiring, device)
    }

    /// A guest with `device`, served by `events`.
    pub fn on(events: &SharedLoop, device: impl VirtioDevice + 'static) -> Self {
        Self::connect(events, Wiring::new(), device)
    }

    fn connect(events: &SharedLoop, wiring: Wiring, device: impl VirtioDevice + 'static) -> Self {
        let events = Arc::clone(events);
        if let Some(subscriber) = device.subscriber() {
            events.lock().expect("no test panicked").add_subscriber(subscriber);
        }
        let regs = R::connect(Box::new(device), &wiring);
        let Wiring { mem, line, doorbells } = wiring;
        Self { mem, regs, line, doorbells, queues: Vec::new(), events }
    }

    /// The loop that serves the device.
    pub fn events(&self) -> SharedLoop {
        Arc::clone(&self.events)
    }

    /// Resets the device and accepts those of `features` that are on offer.
    pub fn negotiate(&mut self, features: u64) {
        self.regs.set_status(0);
        self.regs.set_status(status::ACKNOWLEDGE);
        self.regs.set_status(status::ACKNOWLEDGE | status::DRIVER);
        let offered = self.regs.device_features();
        self.regs.set_driver_features(features & offered);
        let wanted = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.regs.set_status(wanted);
        assert_eq!(self.regs.status(), wanted);
    }

    /// Sets up all queues, cleared, with at most `size` entries each.
    pub fn set_up_queues(&mut self, size: u16) {
        self.queues.clear();
        for index in 0.. {
            let max = u16::try_from(self.regs.queue_max(index)).expect("queues are 16-bit");
            if max == 0 {
                break;
            }
            let queue = DriverQueue::new(0x1_0000 * (u64::from(index) + 1), size.min(max));
            let queue = self.set_up_queue(index, queue);
            self.queues.push(queue);
        }
    }

    /// Sets up queue `index`, cleared.
    pub fn set_up_queue(&mut self, index: u32, mut queue: DriverQueue) -> DriverQueue {
        queue.clear(&self.mem);
        self.regs.set_queue_size(index, u32::from(queue.size));
        self.regs.set_queue_part(index, RingPart::Desc, queue.desc);
        self.regs.set_queue_part(index, RingPart::Driver, queue.driver);
        self.regs.set_queue_part(index, RingPart::Device, queue.device);
        self.regs.set_queue_ready(index, true);
        assert!(self.regs.is_queue_ready(index));
        queue
    }

    /// The whole way from reset to a live device with the `features` on offer.
    pub fn start(&mut self, features: u64) {
        self.negotiate(features);
        self.set_up_queues(1024);
        self.go();
    }

    /// Sets DRIVER_OK and lets the device work.
    pub fn go(&mut self) {
        self.set_live();
        self.pump();
    }

    /// Sets DRIVER_OK.
    pub fn set_live(&mut self) {
        let status = self.regs.status() | status::DRIVER_OK;
        self.regs.set_status(status);
    }

    /// Lets the device work until it rests.
    pub fn pump(&mut self) {
        assert!(self.turn(REST), "the device never rests");
    }

    /// Runs the loop for at most `turns` wake-ups; returns whether the device
    /// came to rest.
    pub fn turn(&mut self, turns: usize) -> bool {
        let mut events = self.events.lock().expect("no test panicked");
        (0..turns).any(|_| events.run_with_timeout(0).expect("the loop can wait") == 0)
    }

    /// Rings for `queue` and lets the device work.
    pub fn kick(&mut self, queue: u32) {
        self.regs.notify(queue);
        self.pump();
    }

    /// Takes the next used entry of `queue`.
    pub fn used(&mut self, queue: usize) -> Option<(u32, u32)> {
        self.queues[queue].used(&self.mem)
    }

    /// The next used entry of `queue`, which the device may add by itself, after a
    /// while.
    pub fn taken(&mut self, queue: usize) -> (u32, u32) {
        let deadline = Instant::now() + Duration::from_secs(600);
        loop {
            if let Some(used) = self.used(queue) {
                return used;
            }
            assert!(Instant::now() < deadline, "the device takes no packet");
            self.pump();
        }
    }

    /// Whether the device asks for a reset.
    pub fn is_reset_needed(&mut self) -> bool {
        self.regs.status() & status::NEEDS_RESET != 0
    }

    /// Writes `data` to guest memory.
    pub fn write(&self, addr: u64, data: &[u8]) {
        self.mem.write_slice(data, GuestAddress(addr)).expect("the address is in RAM");
    }

    /// Reads `len` bytes of guest memory.
    pub fn read(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        self.mem.read_slice(&mut data, GuestAddress(addr)).expect("the address is in RAM");
        data
    }
}
