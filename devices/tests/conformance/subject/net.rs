//! Network devices.

use std::os::unix::net::UnixDatagram;

use devices::backend::net::{NetBackend, SocketNet};
use devices::virtio::net::{Net, NetOptions};
use devices::virtio::testing::{DriverQueue, Guest, Registers, Segment, read_only, write_only};

use super::{ALL, GOOD, Subject, run};

/// A network device with one pair of queues.
pub(crate) struct NetSubject {
    end: HostEnd,
}

/// A network device with two pairs of queues.
pub(crate) struct PairsSubject {
    ends: [HostEnd; 2],
}

/// The control queue of a device with two pairs.
const CONTROL: u32 = 4;

/// What the host has of one pair.
struct HostEnd {
    peer: UnixDatagram,
    serial: u8,
}

fn packet(serial: u8) -> Vec<u8> {
    [&[0; 12][..], &[serial; 60]].concat()
}

fn end() -> (Box<dyn NetBackend>, HostEnd) {
    let (backend, peer) = SocketNet::pair().expect("the host has descriptors");
    (Box::new(backend), HostEnd { peer, serial: 0 })
}

fn device(backends: Vec<Box<dyn NetBackend>>) -> Net {
    Net::new(backends, &NetOptions::default()).expect("the host has descriptors")
}

impl HostEnd {
    fn poke(&self) {
        // The socket may be full of packets that a broken guest did not take.
        let _ = self.peer.send(&packet(0));
    }

    /// Sends packets both ways through the pair of queues that starts at
    /// `first`.
    fn work<R: Registers>(&mut self, guest: &mut Guest<R>, first: u32) {
        for _ in 0..2 {
            self.serial = self.serial % 255 + 1;
            self.receive(guest, first);
            self.send(guest, first + 1);
        }
    }

    /// A packet arrives in the guest, behind those that waited before.
    fn receive<R: Registers>(&self, guest: &mut Guest<R>, queue: u32) {
        let wanted = packet(self.serial);
        let index = usize::try_from(queue).expect("a small number");
        let mut sent = false;
        for _ in 0..1000 {
            sent = sent || self.peer.send(&wanted).is_ok();
            guest.queues[index].add(&guest.mem, &[write_only(GOOD, 70_000)]);
            guest.kick(queue);
            while let Some((_, len)) = guest.used(index) {
                if sent && len == 72 && guest.read(GOOD + 12, 60) == wanted[12..] {
                    return;
                }
            }
        }
        panic!("the packet never arrived");
    }

    /// A packet leaves the guest, behind those that left before.
    fn send<R: Registers>(&self, guest: &mut Guest<R>, queue: u32) {
        let mut seen = vec![0; 0x2_0000];
        while self.peer.recv(&mut seen).is_ok() {}
        let wanted = packet(self.serial);
        guest.write(GOOD, &wanted);
        assert_eq!(run(guest, queue, &[read_only(GOOD, 72)]), 0);
        let len = self.peer.recv(&mut seen).expect("the packet left");
        assert_eq!(seen[..len], wanted);
    }
}

fn request<R: Registers>(guest: &Guest<R>) -> Vec<Segment> {
    guest.write(GOOD, &packet(0));
    vec![read_only(GOOD, 72)]
}

impl Subject for NetSubject {
    type Device = Net;

    const QUEUES: u32 = 3;
    const SERVED: u32 = 1;

    fn new() -> (Self, Net) {
        let (backend, end) = end();
        (Self { end }, device(vec![backend]))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        self.end.poke();
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        request(guest)
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        self.end.work(guest, 0);
    }
}

impl Subject for PairsSubject {
    type Device = Net;

    const QUEUES: u32 = 5;
    const SERVED: u32 = 1;

    fn new() -> (Self, Net) {
        let (ends, device_ends) = ([end(), end()], device);
        let [(first, a), (second, b)] = ends;
        (Self { ends: [a, b] }, device_ends(vec![first, second]))
    }

    /// The driver asks for the second pair, and then for a fresh control queue.
    fn start<R: Registers>(guest: &mut Guest<R>) {
        guest.start(ALL);
        assert!(use_both(guest), "both pairs can be used");
        guest.regs.reset_queue(CONTROL);
        let queue = DriverQueue::new(0x5_0000, 16);
        guest.queues[4] = guest.set_up_queue(CONTROL, queue);
        guest.regs.take_interrupts();
        guest.pump();
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        self.ends.iter().for_each(HostEnd::poke);
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        request(guest)
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        self.ends[0].work(guest, 0);
        if use_both(guest) {
            self.ends[1].work(guest, 2);
        }
    }
}

/// Has the device use both pairs; false if that was not agreed on.
fn use_both<R: Registers>(guest: &mut Guest<R>) -> bool {
    guest.write(GOOD, &[4, 0, 2, 0, 0xff]);
    let segments = [read_only(GOOD, 4), write_only(GOOD + 4, 1)];
    guest.queues[4].add(&guest.mem, &segments);
    guest.kick(CONTROL);
    guest.used(4).is_some() && guest.read(GOOD + 4, 1) == [0]
}
