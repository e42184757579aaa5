//! A network device whose packets somebody else moves: here a thread that
//! does with the rings what the host's kernel would.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use devices::backend::net::{KernelPair, Offloads, VhostRing};
use devices::virtio::net::{KernelNet, NetOptions};
use devices::virtio::queue::{Ring, RingError};
use devices::virtio::spec::feature;
use devices::virtio::testing::{Guest, Registers, Segment, read_only, write_only};
use devices::virtio::{DeviceIo, Interrupt};
use nix::sys::socket::{MsgFlags, recv};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_core::irq::IrqLine;
use vmm_core::mem::GuestRam;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{GOOD, Subject, eventually, run};

/// A device with one pair of queues, moved by a thread.
pub(crate) struct KernelSubject {
    peer: UnixDatagram,
    serial: u8,
}

/// A header without a wish, and a frame.
fn packet(serial: u8) -> Vec<u8> {
    [&[0; 12][..], &[serial; 60]].concat()
}

/// A ring that runs, and how the two sides wake each other.
struct Service {
    ring: Ring,
    kick: EventFd,
    error: EventFd,
    is_broken: bool,
    /// Whether a packet waits for a buffer: there is no use in looking at it.
    is_starved: bool,
}

/// An interrupt line that writes what the kernel writes.
struct Call(EventFd);

impl IrqLine for Call {
    fn set_level(&self, high: bool) {
        if high {
            self.0.write(1).expect("the counter is far from full");
        }
    }
}

struct Rings {
    mem: Arc<GuestRam>,
    features: u64,
    /// Packets to the guest, and from it.
    services: [Option<Service>; 2],
    /// Up to where the rings came that do not run.
    next: [u16; 2],
    is_over: bool,
}

/// What the thread and its device share.
struct Shared {
    rings: Mutex<Rings>,
    socket: UnixDatagram,
    /// Written when other rings run.
    changed: EventFd,
}

impl Shared {
    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: moves packets while there is something to move.
    fn run(&self) {
        loop {
            let (kicks, receives) = {
                let mut rings = self.rings();
                if rings.is_over {
                    return;
                }
                self.serve(&mut rings);
                let running = rings.services.iter().flatten();
                let kicks = running.map(|service| service.kick.try_clone());
                let kicks = kicks.collect::<io::Result<Vec<_>>>().expect("the host has some left");
                let receives =
                    rings.services[0].as_ref().is_some_and(|s| !s.is_starved && !s.is_broken);
                (kicks, receives)
            };
            self.wait(&kicks, receives);
        }
    }

    fn wait(&self, kicks: &[EventFd], receives: bool) {
        let epoll = Epoll::new().expect("the host has descriptors");
        let fds = kicks.iter().map(AsRawFd::as_raw_fd).chain([self.changed.as_raw_fd()]);
        for fd in fds.chain(receives.then_some(self.socket.as_raw_fd())) {
            let event = EpollEvent::new(EventSet::IN, 0);
            epoll.ctl(ControlOperation::Add, fd, event).expect("it is open");
        }
        // Says what is ready; a signal is not an error.
        let _ = epoll.wait(-1, &mut [EpollEvent::default()]);
        // Empty unless that is what came.
        let _ = self.changed.read();
    }

    fn serve(&self, rings: &mut Rings) {
        let mem = Arc::clone(&rings.mem);
        let moves = [Self::receive, Self::send];
        for (service, go) in rings.services.iter_mut().zip(moves) {
            let Some(service) = service.as_mut().filter(|service| !service.is_broken) else {
                continue;
            };
            // Empty unless that is what came.
            service.is_starved &= service.kick.read().is_err();
            if go(self, service, &mem).is_err() {
                service.is_broken = true;
                service.error.write(1).expect("the counter is far from full");
            }
        }
    }

    fn receive(&self, service: &mut Service, mem: &GuestRam) -> Result<(), RingError> {
        let mut packet = [0; 1000];
        loop {
            if recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::MSG_PEEK).is_err() {
                return service.ring.signal();
            }
            let Some(chain) = service.ring.pop(mem)? else {
                service.is_starved = !service.ring.unmute()?;
                if service.is_starved {
                    return service.ring.signal();
                }
                continue;
            };
            let len = self.socket.recv(&mut packet).expect("it was there");
            let written = chain.writable.copy_from(&packet[..len]);
            service.ring.add_used(&[(chain.head, written)])?;
        }
    }

    fn send(&self, service: &mut Service, mem: &GuestRam) -> Result<(), RingError> {
        loop {
            let Some(chain) = service.ring.pop(mem)? else {
                if service.ring.unmute()? {
                    continue;
                }
                return service.ring.signal();
            };
            let mut packet = vec![0; chain.readable.len().min(0x1_0000)];
            chain.readable.copy_to(&mut packet);
            // Nobody may be reading: then it is lost, as on a tap.
            let _ = self.socket.send(&packet);
            service.ring.add_used(&[(chain.head, 0)])?;
        }
    }
}

/// The device's handle of the thread, which ends with it.
struct Pair {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Pair {
    fn new(socket: UnixDatagram) -> Self {
        let shared = Arc::new(Shared {
            rings: Mutex::new(Rings {
                mem: Arc::new(GuestRam::new()),
                features: 0,
                services: [None, None],
                next: [0; 2],
                is_over: false,
            }),
            socket,
            changed: EventFd::new(EFD_NONBLOCK).expect("the host has descriptors"),
        });
        let runner = Arc::clone(&shared);
        Self { shared, thread: Some(thread::spawn(move || runner.run())) }
    }

    fn wake(&self) {
        self.shared.changed.write(1).expect("the counter is far from full");
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.shared.rings().is_over = true;
        self.wake();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the thread panicked");
    }
}

impl KernelPair for Pair {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }
    fn mtu(&self) -> Option<u16> {
        Some(1500)
    }
    fn offloads(&self) -> Offloads {
        Offloads::ALL
    }
    fn features(&self) -> io::Result<u64> {
        Ok(feature::VERSION_1 | feature::EVENT_IDX | feature::INDIRECT_DESC)
    }
    fn set_offloads(&mut self, _: Offloads) -> io::Result<()> {
        Ok(())
    }
    fn set_enabled(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn prepare(&mut self, features: u64, mem: &Arc<GuestRam>) -> io::Result<()> {
        let mut rings = self.shared.rings();
        assert!(rings.services.iter().all(Option::is_none), "rings run, and memory changes");
        (rings.features, rings.mem) = (features, Arc::clone(mem));
        Ok(())
    }
    fn start_ring(&mut self, index: usize, ring: &VhostRing<'_>) -> io::Result<()> {
        let mut rings = self.shared.rings();
        let mut queue = Queue::new(ring.size).map_err(io::Error::other)?;
        queue.set_size(ring.size);
        let parts = [ring.desc, ring.avail, ring.used].map(GuestAddress);
        queue.try_set_desc_table_address(parts[0]).map_err(io::Error::other)?;
        queue.try_set_avail_ring_address(parts[1]).map_err(io::Error::other)?;
        queue.try_set_used_ring_address(parts[2]).map_err(io::Error::other)?;
        queue.set_event_idx(rings.features & feature::EVENT_IDX != 0);
        queue.set_next_avail(ring.next_avail);
        // It goes on where the used ring stands.
        let used = rings.mem.read_obj(GuestAddress(ring.used + 2)).map_err(io::Error::other)?;
        queue.set_next_used(used);
        queue.set_ready(true);
        let interrupt = Interrupt::new(0, Arc::new(Call(ring.call.try_clone()?)));
        let io = DeviceIo {
            mem: Arc::clone(&rings.mem),
            features: rings.features,
            queues: vec![queue],
            interrupt: Arc::new(interrupt),
        };
        let ring = Service {
            ring: Ring::all(io).remove(0),
            kick: ring.kick.try_clone()?,
            error: ring.error.try_clone()?,
            is_broken: false,
            is_starved: false,
        };
        assert!(rings.services[index].replace(ring).is_none(), "ring {index} runs already");
        drop(rings);
        self.wake();
        Ok(())
    }
    fn stop_ring(&mut self, index: usize) -> io::Result<u16> {
        let mut rings = self.shared.rings();
        if let Some(service) = rings.services[index].take() {
            rings.next[index] = service.ring.into_queue().next_avail();
        }
        Ok(rings.next[index])
    }
}

impl KernelSubject {
    /// A packet arrives in the guest, behind those that waited before.
    fn receive<R: Registers>(&self, guest: &mut Guest<R>) {
        let wanted = packet(self.serial);
        let mut sent = false;
        for _ in 0..1000 {
            // A full socket has others that come first.
            sent = sent || self.peer.send(&wanted).is_ok();
            let len = run(guest, 0, &[write_only(GOOD, 70_000)]);
            if sent && len == 72 && guest.read(GOOD + 12, 60) == wanted[12..] {
                return;
            }
        }
        panic!("the packet never arrived");
    }

    /// A packet leaves the guest, behind those that left before.
    fn send<R: Registers>(&self, guest: &mut Guest<R>) {
        let mut seen = [0; 0x1000];
        while self.peer.recv(&mut seen).is_ok() {}
        let wanted = packet(self.serial);
        guest.write(GOOD, &wanted);
        assert_eq!(run(guest, 1, &[read_only(GOOD, 72)]), 0);
        let len = eventually(guest, |_| self.peer.recv(&mut seen).ok()).expect("it left");
        assert_eq!(seen[..len], wanted);
    }
}

impl Subject for KernelSubject {
    type Device = KernelNet;

    const QUEUES: u32 = 3;
    const SERVED: u32 = 1;

    fn new() -> (Self, KernelNet) {
        let (socket, peer) = UnixDatagram::pair().expect("the host has descriptors");
        for end in [&socket, &peer] {
            end.set_nonblocking(true).expect("a socket can be set so");
        }
        let device = KernelNet::new(vec![Box::new(Pair::new(socket))], &NetOptions::default());
        (Self { peer, serial: 0 }, device.expect("the host has descriptors"))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        // The socket may be full of packets that a broken guest did not take.
        let _ = self.peer.send(&packet(0));
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        guest.write(GOOD, &packet(0));
        vec![read_only(GOOD, 72)]
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        for _ in 0..2 {
            self.serial = self.serial % 255 + 1;
            self.receive(guest);
            self.send(guest);
        }
    }
}
