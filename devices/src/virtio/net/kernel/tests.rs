use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};

use virtio_queue::QueueT;
use vmm_core::mem::GuestRam;
use vmm_core::sys::VhostRing;
use vmm_sys_util::eventfd::EventFd;

use super::*;
use crate::backend::net::{KernelPair, Offloads};
use crate::virtio::net::NetOptions;
use crate::virtio::spec::net::*;
use crate::virtio::spec::{feature, isr};
use crate::virtio::testing::*;
use crate::virtio::transport::{QueueSetup, RingPart};
use crate::virtio::{DeviceIo, Interrupt, VirtioDevice};

/// A kernel that only notes what it is told.
#[derive(Default)]
struct Kernel {
    features: u64,
    offloads: Offloads,
    rings: [Option<Told>; 2],
    /// What a ring has come to when it is stopped.
    next: u16,
    refuses: Option<usize>,
    stands_aside: bool,
}

struct Told {
    size: u16,
    parts: [u64; 3],
    next_avail: u16,
    kick: EventFd,
    call: EventFd,
    error: EventFd,
}

struct Pair {
    kernel: Arc<Mutex<Kernel>>,
    link: UnixStream,
}

impl KernelPair for Pair {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
    fn mtu(&self) -> Option<u16> {
        Some(1500)
    }
    fn offloads(&self) -> Offloads {
        Offloads::ALL
    }
    fn features(&self) -> io::Result<u64> {
        // What it must not be given, too: translated addresses.
        Ok(feature::VERSION_1 | feature::EVENT_IDX | F_MRG_RXBUF | 1 << 33)
    }
    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        lock(&self.kernel).offloads = offloads;
        Ok(())
    }
    fn set_enabled(&mut self, enabled: bool) -> io::Result<()> {
        let stood_aside = std::mem::replace(&mut lock(&self.kernel).stands_aside, !enabled);
        assert_eq!(stood_aside, enabled, "only changes are told");
        Ok(())
    }
    fn prepare(&mut self, features: u64, _: &Arc<GuestRam>) -> io::Result<()> {
        lock(&self.kernel).features = features;
        Ok(())
    }
    fn start_ring(&mut self, index: usize, ring: &VhostRing<'_>) -> io::Result<()> {
        let mut kernel = lock(&self.kernel);
        if kernel.refuses == Some(index) {
            return Err(io::Error::other("as planned"));
        }
        kernel.rings[index] = Some(Told {
            size: ring.size,
            parts: [ring.desc, ring.avail, ring.used],
            next_avail: ring.next_avail,
            kick: ring.kick.try_clone()?,
            call: ring.call.try_clone()?,
            error: ring.error.try_clone()?,
        });
        Ok(())
    }
    fn stop_ring(&mut self, index: usize) -> io::Result<u16> {
        let mut kernel = lock(&self.kernel);
        kernel.rings[index] = None;
        Ok(kernel.next)
    }
}

fn lock(kernel: &Mutex<Kernel>) -> MutexGuard<'_, Kernel> {
    kernel.lock().unwrap()
}

struct Bench<R: Registers> {
    guest: Guest<R>,
    kernel: Arc<Mutex<Kernel>>,
    peer: UnixStream,
}

fn device() -> (KernelNet, Arc<Mutex<Kernel>>, UnixStream) {
    let kernel = Arc::<Mutex<Kernel>>::default();
    let (link, peer) = UnixStream::pair().unwrap();
    let pair = Pair { kernel: Arc::clone(&kernel), link };
    let device = KernelNet::new(vec![Box::new(pair)], &NetOptions::default()).unwrap();
    (device, kernel, peer)
}

impl<R: Registers> Bench<R> {
    fn new() -> Self {
        let (device, kernel, peer) = device();
        Self { guest: Guest::new(device), kernel, peer }
    }

    /// Has the device do a command, on the control queue of index `queue`;
    /// what it answered.
    fn command(&mut self, queue: usize, command: &[u8]) -> u8 {
        self.guest.write(0x30_0000, command);
        self.guest.write(0x30_1000, &[0xff]);
        let request = read_only(0x30_0000, u32::try_from(command.len()).unwrap());
        let head =
            self.guest.queues[queue].add(&self.guest.mem, &[request, write_only(0x30_1000, 1)]);
        self.guest.kick(u32::try_from(queue).unwrap());
        assert_eq!(self.guest.used(queue), Some((u32::from(head), 1)));
        self.guest.read(0x30_1000, 1)[0]
    }

    fn started(features: u64) -> Self {
        let mut bench = Self::new();
        bench.guest.start(feature::VERSION_1 | features);
        bench
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        lock(&self.kernel)
    }

    /// The kernel writes ring `index`'s call or error.
    fn write(&mut self, index: usize, event: impl Fn(&Told) -> &EventFd) {
        event(self.kernel().rings[index].as_ref().unwrap()).write(1).unwrap();
        self.guest.pump();
    }
}

type Mmio = Bench<MmioRegisters>;
type Pci = Bench<PciRegisters<true>>;

#[test]
fn the_kernel_is_told_where_the_rings_lie() {
    let bench = Mmio::started(u64::MAX);
    let kernel = bench.kernel();
    assert_eq!(kernel.features, feature::VERSION_1 | feature::EVENT_IDX | F_MRG_RXBUF);
    assert!(kernel.offloads.csum && kernel.offloads.tso4 && kernel.offloads.tso6);
    for (ring, queue) in kernel.rings.iter().zip(&bench.guest.queues) {
        let ring = ring.as_ref().unwrap();
        assert_eq!((ring.size, ring.next_avail), (256, 0));
        assert_eq!(ring.parts, [queue.desc, queue.driver, queue.device]);
        // Kicks from before the start came to nothing.
        assert_eq!(ring.kick.read().unwrap(), 1);
    }
}

#[test]
fn a_kick_is_left_to_the_kernel() {
    let mut bench = Mmio::started(0);
    let kick = |bench: &Mmio| bench.kernel().rings[1].as_ref().unwrap().kick.read().ok();
    assert_eq!(kick(&bench), Some(1));
    bench.guest.kick(1);
    assert_eq!(kick(&bench), Some(1), "the loop did not take it");
}

#[test]
fn what_the_kernel_used_is_told_to_the_driver() {
    let mut mmio = Mmio::started(0);
    mmio.write(1, |ring| &ring.call);
    assert_eq!(mmio.guest.regs.take_interrupts(), isr::QUEUE);

    let mut pci = Pci::started(0);
    pci.write(1, |ring| &ring.call);
    assert_eq!(pci.guest.regs.messages.take(), [2]);
    // Masked, it waits.
    pci.guest.regs.set_entry(2, 0xfee0_0000, true);
    pci.write(1, |ring| &ring.call);
    assert_eq!((pci.guest.regs.messages.take(), pci.guest.regs.pending()), (vec![], 0b100));
    pci.guest.regs.set_entry(2, 0xfee0_0000, false);
    assert_eq!((pci.guest.regs.messages.take(), pci.guest.regs.pending()), (vec![2], 0));
}

#[test]
fn a_stopped_device_returns_its_queues_as_the_kernel_left_them() {
    let (mut device, kernel, _peer) = device();
    let wiring = Wiring::new();
    let interrupt = Interrupt::new(1, Arc::clone(&wiring.line) as _);
    let mut setup = QueueSetup::new(256);
    for (part, address) in
        [(RingPart::Desc, 0x1000), (RingPart::Driver, 0x3000), (RingPart::Device, 0x4000)]
    {
        setup.set_address(part, address);
    }
    setup.set_ready(true, &wiring.mem);
    let unused = QueueSetup::new(256);
    let io = DeviceIo {
        mem: Arc::clone(&wiring.mem),
        features: feature::VERSION_1,
        queues: vec![setup.queue(false), unused.queue(false), unused.queue(false)],
        interrupt: Arc::new(interrupt),
    };
    device.start(io).unwrap();
    assert!(lock(&kernel).rings[1].is_none(), "the driver left it alone");
    lock(&kernel).next = 77;
    let stopped = device.stop_queue(0).unwrap();
    assert_eq!((stopped.next_avail(), stopped.next_used(), stopped.ready()), (77, 77, true));
    assert!(!device.stop_queue(0).unwrap().ready());
    // It goes on from there.
    device.start_queue(0, stopped).unwrap();
    assert_eq!(lock(&kernel).rings[0].as_ref().unwrap().next_avail, 77);
    lock(&kernel).next = 99;
    let queues = device.stop();
    assert_eq!(queues.iter().map(QueueT::next_avail).collect::<Vec<_>>(), [99, 0, 0]);
    assert!(device.stop().is_empty() && device.stop_queue(0).is_none());
    assert_eq!(lock(&kernel).offloads, Offloads::default());
}

#[test]
fn a_queue_is_reset_and_runs_again() {
    let mut bench = Pci::started(feature::RING_RESET);
    let call = bench.kernel().rings[0].as_ref().unwrap().call.try_clone().unwrap();
    bench.guest.regs.reset_queue(0);
    assert!(bench.kernel().rings[0].is_none() && bench.kernel().rings[1].is_some());
    bench.guest.regs.messages.take();
    call.write(1).unwrap();
    bench.guest.pump();
    let queue = DriverQueue::new(0x8_0000, 64);
    bench.guest.queues[0] = bench.guest.set_up_queue(0, queue);
    assert_eq!(bench.kernel().rings[0].as_ref().unwrap().size, 64);
    bench.guest.regs.messages.take();
    bench.write(0, |ring| &ring.call);
    assert_eq!(bench.guest.regs.messages.take(), [1]);
}

#[test]
fn a_ring_that_the_kernel_cannot_go_on_with_needs_a_reset() {
    let mut bench = Mmio::started(0);
    bench.write(1, |ring| &ring.error);
    assert!(bench.guest.is_reset_needed());
    assert!(bench.kernel().rings[1].is_none(), "it is served no more");
    assert!(bench.kernel().rings[0].is_some(), "the other one is");
    bench.guest.start(feature::VERSION_1);
    assert!(!bench.guest.is_reset_needed());
    assert!(bench.kernel().rings[1].is_some());
}

#[test]
fn a_kernel_that_refuses_a_ring_gets_none() {
    let mut bench = Mmio::new();
    bench.kernel().refuses = Some(1);
    bench.guest.start(feature::VERSION_1);
    assert!(bench.guest.is_reset_needed());
    assert!(bench.kernel().rings.iter().all(Option::is_none));
    bench.kernel().refuses = None;
    bench.guest.start(feature::VERSION_1);
    assert!(!bench.guest.is_reset_needed());
}

#[test]
fn events_out_of_time_are_ignored() {
    let mut bench = Mmio::started(0);
    let ring = bench.kernel().rings[0].take().unwrap();
    bench.guest.regs.set_status(0);
    for event in [&ring.call, &ring.error] {
        event.write(1).unwrap();
    }
    bench.guest.pump();
    assert_eq!(bench.guest.regs.take_interrupts(), 0);
    // An error of the start before is none of this one.
    ring.error.write(1).unwrap();
    bench.guest.start(feature::VERSION_1);
    assert!(!bench.guest.is_reset_needed());
}

#[test]
fn an_end_that_is_gone_takes_the_link_down() {
    let mut bench = Mmio::started(F_STATUS);
    let link = |bench: &mut Mmio| {
        let mut status = [0; 2];
        bench.guest.regs.read_config(6, &mut status);
        u16::from_le_bytes(status)
    };
    assert_eq!(link(&mut bench), S_LINK_UP);
    drop(std::mem::replace(&mut bench.peer, UnixStream::pair().unwrap().0));
    bench.guest.pump();
    assert_eq!((link(&mut bench), bench.guest.regs.take_interrupts()), (0, isr::CONFIG));
}

#[test]
fn the_address_is_changed_until_the_reset() {
    let mut bench = Mmio::started(F_CTRL_VQ | F_CTRL_MAC_ADDR);
    let mac = |bench: &mut Mmio| {
        let mut mac = [0; 6];
        bench.guest.regs.read_config(0, &mut mac);
        mac
    };
    assert_eq!(bench.command(2, &[ctrl::MAC, ctrl::MAC_ADDR_SET, 2, 0, 0, 0, 0, 9]), ctrl::OK);
    assert_eq!(mac(&mut bench), [2, 0, 0, 0, 0, 9]);
    bench.guest.regs.set_status(0);
    assert_eq!(mac(&mut bench), [0; 6]);
}

#[test]
fn pairs_take_part_as_the_driver_says() {
    let (pairs, kernels): (Vec<Box<dyn KernelPair>>, Vec<_>) = (0..3)
        .map(|_| {
            let kernel = Arc::<Mutex<Kernel>>::default();
            let link = UnixStream::pair().unwrap();
            let pair = Pair { kernel: Arc::clone(&kernel), link: link.0 };
            (Box::new(pair) as _, (kernel, link.1))
        })
        .unzip();
    let device = KernelNet::new(pairs, &NetOptions::default()).unwrap();
    let (kernel, peer) = (Arc::clone(&kernels[0].0), UnixStream::pair().unwrap().0);
    let mut bench = Mmio { guest: Guest::new(device), kernel, peer };
    let active = || kernels.iter().filter(|(kernel, _)| !lock(kernel).stands_aside).count();
    let served =
        || kernels.iter().filter(|(k, _)| lock(k).rings.iter().all(Option::is_some)).count();
    let set = |count| [ctrl::MQ, ctrl::MQ_VQ_PAIRS_SET, count, 0];
    assert_eq!(active(), 1);
    bench.guest.start(feature::VERSION_1 | F_CTRL_VQ | F_MQ);
    assert_eq!((active(), served()), (1, 3));
    for (count, answer, wanted) in
        [(3, ctrl::OK, 3), (4, ctrl::ERR, 3), (0, ctrl::ERR, 3), (2, ctrl::OK, 2)]
    {
        assert_eq!(bench.command(6, &set(count)), answer);
        assert_eq!(active(), wanted);
    }
    bench.guest.regs.set_status(0);
    assert_eq!((active(), served()), (1, 0));
    // Who knows nothing of them has the control queue after the first pair.
    bench.guest.start(feature::VERSION_1 | F_CTRL_VQ | F_CTRL_MAC_ADDR);
    assert_eq!((active(), served()), (1, 1));
    let mac = [ctrl::MAC, ctrl::MAC_ADDR_SET, 2, 0, 0, 0, 0, 9];
    assert_eq!(bench.command(2, &mac), ctrl::OK);
    // And back: its doorbell is the kernel's alone.
    bench.guest.start(feature::VERSION_1 | F_CTRL_VQ | F_MQ);
    bench.guest.kick(2);
    bench.guest.kick(2);
    let kicks = lock(&kernels[1].0).rings[0].as_ref().unwrap().kick.read().unwrap();
    assert!(kicks >= 2, "the loop took some");
}
