//! The devices under test.

mod balloon;
mod console;
mod fs;
mod kernel;
mod net;
mod rng;
mod vsock;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use devices::backend::disk::MemoryDisk;
use devices::virtio::VirtioDevice;
use devices::virtio::blk::{Blk, DiskOptions};
use devices::virtio::testing::{Guest, PATIENCE, Registers, Segment, read_only, write_only};
use vmm_core::event::RequestSender;

pub(crate) use balloon::BalloonSubject;
pub(crate) use console::ConsoleSubject;
pub(crate) use fs::FsSubject;
pub(crate) use kernel::KernelSubject;
pub(crate) use net::{NetSubject, PairsSubject};
pub(crate) use rng::RngSubject;
pub(crate) use vsock::VsockSubject;

/// Where good requests lie in memory.
pub(crate) const GOOD: u64 = 0x30_0000;

/// All features that there are, for drivers that take what is on offer.
pub(crate) const ALL: u64 = u64::MAX;

/// What `look` finds; waits for it, for a device may have threads of its own or
/// hear of what others do.
pub(crate) fn eventually<R: Registers, T>(
    guest: &mut Guest<R>,
    mut look: impl FnMut(&mut Guest<R>) -> Option<T>,
) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look(guest);
        if found.is_some() || start.elapsed() > PATIENCE {
            return found;
        }
        guest.pump();
        thread::yield_now();
    }
}

/// Whether the device asks for a reset, sooner or later.
pub(crate) fn asks_for_reset<R: Registers>(guest: &mut Guest<R>) -> bool {
    eventually(guest, |guest| guest.is_reset_needed().then_some(())).is_some()
}

/// A device and what surrounds it.
pub(crate) trait Subject: Sized {
    type Device: VirtioDevice + 'static;

    /// How many queues it has.
    const QUEUES: u32;
    /// The queue whose requests need nothing but a kick.
    const SERVED: u32;

    fn new() -> (Self, Self::Device);

    /// Starts the device with all features on offer, so that it serves all of
    /// its queues, each of them fresh.
    fn start<R: Registers>(guest: &mut Guest<R>) {
        guest.start(ALL);
    }

    /// Makes the device look at `queue`.
    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32);

    /// Puts a good request for [`Subject::SERVED`] into memory.
    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment>;

    /// Uses the device, which is live, and checks what it does.
    fn work<R: Registers>(&mut self, guest: &mut Guest<R>);
}

/// A new device in a guest of its own.
pub(crate) fn new<S: Subject, R: Registers>() -> (S, Guest<R>) {
    let (subject, device) = S::new();
    (subject, Guest::new(device))
}

/// Resets the device and uses it.
pub(crate) fn assert_usable<S: Subject, R: Registers>(subject: &mut S, guest: &mut Guest<R>) {
    guest.start(ALL);
    assert!(!guest.is_reset_needed());
    subject.work(guest);
}

/// A disk with one queue, which the event loop serves.
pub(crate) struct BlkSubject;

/// A disk with two queues, each with a thread.
pub(crate) struct ThreadedBlkSubject(RequestSender);

impl Drop for ThreadedBlkSubject {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(self.0.first(), None, "a thread failed");
        }
    }
}

fn disk() -> Arc<MemoryDisk> {
    Arc::new(MemoryDisk::new(vec![0; 64 * 512], false))
}

fn read_request<R: Registers>(guest: &Guest<R>) -> Vec<Segment> {
    guest.write(GOOD, &[0; 16]);
    vec![read_only(GOOD, 16), write_only(GOOD + 0x1000, 513)]
}

/// Writes a sector through `queue` and reads it back, twice.
fn write_and_read<R: Registers>(guest: &mut Guest<R>, queue: u32) {
    for byte in [0x5a, 0xa5] {
        let mut write = [&[1_u8][..], &[0; 15], &[byte; 512]].concat();
        write[8] = 7;
        guest.write(GOOD, &write);
        let segments = [read_only(GOOD, 528), write_only(GOOD + 0x1000, 1)];
        assert_eq!(run(guest, queue, &segments), 1);
        assert_eq!(guest.read(GOOD + 0x1000, 1), [0]);
        write[0] = 0;
        guest.write(GOOD, &write);
        let segments = [read_only(GOOD, 16), write_only(GOOD + 0x1000, 513)];
        assert_eq!(run(guest, queue, &segments), 513);
        assert_eq!(guest.read(GOOD + 0x1000, 512), [byte; 512]);
    }
}

impl Subject for BlkSubject {
    type Device = Blk;

    const QUEUES: u32 = 1;
    const SERVED: u32 = 0;

    fn new() -> (Self, Blk) {
        let device = Blk::on_loop(disk(), &DiskOptions::default());
        (Self, device.expect("the host has descriptors"))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        read_request(guest)
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        write_and_read(guest, 0);
    }
}

impl Subject for ThreadedBlkSubject {
    type Device = Blk;

    const QUEUES: u32 = 2;
    const SERVED: u32 = 1;

    fn new() -> (Self, Blk) {
        let requests = RequestSender::new().expect("the host has descriptors");
        let queues = 2.try_into().expect("not zero");
        let options = DiskOptions { queues, ..DiskOptions::default() };
        let device = Blk::new(disk(), &options, "blk0", &requests);
        (Self(requests), device.expect("the host has threads"))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        read_request(guest)
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        write_and_read(guest, 0);
        write_and_read(guest, 1);
    }
}

/// Runs one chain to its end; returns the used length.
fn run<R: Registers>(guest: &mut Guest<R>, queue: u32, segments: &[Segment]) -> u32 {
    let index = usize::try_from(queue).expect("a small number");
    let head = guest.queues[index].add(&guest.mem, segments);
    guest.kick(queue);
    let used = eventually(guest, |guest| guest.used(index));
    let (id, len) = used.expect("a good request is answered");
    assert_eq!(id, u32::from(head));
    len
}
