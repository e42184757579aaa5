//! Lanes that threads serve, through both channels.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use vmm_core::event::{MachineRequest, RequestSender};

use super::hooked::{Call, Hooked};
use super::*;
use crate::backend::disk::{OpenOptions, RawDisk};

struct Threads {
    guest: Guest<MmioRegisters>,
    requests: RequestSender,
}

impl Threads {
    fn new(image: Arc<dyn DiskImage>, queues: u16) -> Self {
        let requests = RequestSender::new().unwrap();
        let options = DiskOptions { queues: queues.try_into().unwrap(), ..options() };
        let device = Blk::new(image, &options, "blk0", &requests).unwrap();
        assert!(crate::virtio::VirtioDevice::subscriber(&device).is_none());
        Self { guest: Guest::mmio(device), requests }
    }

    /// The next used entry of `queue`, which comes.
    fn used(&mut self, queue: usize) -> (u32, u32) {
        loop {
            let guest = &mut self.guest;
            if let Some(used) = guest.used(queue) {
                return used;
            }
            guest.queues[queue].ask_for_next(&guest.mem);
            if let Some(used) = guest.used(queue) {
                return used;
            }
            assert!(guest.line.wait(PATIENCE), "a notification was lost");
            guest.regs.take_interrupts();
        }
    }

    /// Makes `segments` available in `queue`, and rings if that is wanted.
    fn submit(&mut self, queue: usize, segments: &[Segment], features: u64) {
        let guest = &mut self.guest;
        guest.queues[queue].add(&guest.mem, segments);
        let event_idx = features & feature::EVENT_IDX != 0;
        if guest.queues[queue].is_kick_wanted(&guest.mem, 1, event_idx) {
            guest.regs.notify(u32::try_from(queue).unwrap());
        }
    }

    fn header(&self, at: u64, kind: u32, sector: u64) {
        let bytes = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        self.guest.write(at, &bytes);
    }
}

fn raw_image(path: &Path) -> Arc<dyn DiskImage> {
    std::fs::write(path, pattern()).unwrap();
    Arc::new(RawDisk::open(path, OpenOptions::default()).unwrap())
}

/// Where request `n` of `queue` has its 4 KiB of memory.
fn place(queue: usize, n: usize) -> u64 {
    0x20_0000 + 0x2000 * u64::try_from(queue * 16 + n).unwrap()
}

/// Reads each sector over all queues, several at once, and compares.
fn read_all(threads: &mut Threads, queues: usize, features: u64) {
    for round in 0..50 {
        for queue in 0..queues {
            for n in 0..8 {
                let (at, sector) = (place(queue, n), (round * 8 + n) % 64);
                threads.header(at, blk::T_IN, u64::try_from(sector).unwrap());
                let segments = [read_only(at, 16), write_only(at + 0x1000, 513)];
                threads.submit(queue, &segments, features);
            }
        }
        for queue in 0..queues {
            for _ in 0..8 {
                assert_eq!(threads.used(queue).1, 513);
            }
            for n in 0..8 {
                let sector = (round * 8 + n) % 64;
                let bytes = threads.guest.read(place(queue, n) + 0x1000, 513);
                assert_eq!(bytes[..512], pattern()[sector * 512..(sector + 1) * 512]);
                assert_eq!(bytes[512], blk::S_OK);
            }
        }
    }
}

#[test]
fn many_queues_serve_many_requests_and_lose_no_notification() {
    let dir = tempfile::tempdir().unwrap();
    let images: [Arc<dyn DiskImage>; 2] =
        [raw_image(&dir.path().join("image")), Arc::new(MemoryDisk::new(pattern(), false))];
    for image in images {
        for features in [0, feature::EVENT_IDX] {
            let mut threads = Threads::new(Arc::clone(&image), 4);
            // The threads outlive resets.
            for _ in 0..3 {
                threads.guest.start(feature::VERSION_1 | blk::F_MQ | features);
                read_all(&mut threads, 4, features);
            }
            assert!(!threads.requests.is_pending());
        }
    }
}

#[test]
fn a_reset_drains_what_is_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let image = raw_image(&dir.path().join("image"));
    let mut threads = Threads::new(image, 2);
    for round in 0..200 {
        threads.guest.start(feature::VERSION_1 | blk::F_MQ | blk::F_FLUSH);
        for n in 0..round % 16 {
            let at = place(n % 2, n);
            threads.header(at, blk::T_OUT, 5);
            threads.submit(n % 2, &[read_only(at, 528), write_only(at + 0x1000, 1)], 0);
        }
        threads.guest.regs.set_status(0);
        let before = threads.guest.read(0, 0x40_0000);
        thread::yield_now();
        assert!(before == threads.guest.read(0, 0x40_0000), "memory changed after a reset");
    }
}

/// An image whose reads of sector 0 wait for a word.
fn held_image() -> (Arc<dyn DiskImage>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, arrival) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let hook = move |call| {
        if call == Call::Read(0) {
            arrived.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
    };
    (Arc::new(Hooked { disk: MemoryDisk::new(pattern(), false), hook }), arrival, go)
}

#[test]
fn a_slow_request_holds_up_neither_other_queues_nor_their_reset() {
    let (image, arrival, go) = held_image();
    let mut threads = Threads::new(image, 2);
    threads.guest.start(feature::VERSION_1 | feature::RING_RESET | blk::F_MQ);
    threads.header(OUT, blk::T_IN, 0);
    threads.submit(0, &[read_only(OUT, 16), write_only(IN, 513)], 0);
    arrival.recv().unwrap();
    threads.header(place(1, 0), blk::T_IN, 1);
    let request = [read_only(place(1, 0), 16), write_only(place(1, 0) + 0x1000, 513)];
    threads.submit(1, &request, 0);
    assert_eq!(threads.used(1).1, 513);
    threads.guest.regs.reset_queue(1);
    assert!(!threads.guest.regs.is_queue_ready(1));
    // The reset waits for the request; whoever else must let it go.
    thread::scope(|scope| {
        let reset = scope.spawn(|| threads.guest.regs.set_status(0));
        go.send(()).unwrap();
        reset.join().unwrap();
    });
    assert_eq!(threads.guest.read(IN + 512, 1), [blk::S_OK]);
    assert_eq!(threads.guest.read(IN, 512), pattern()[..512]);
}

#[test]
fn a_panic_ends_the_machine_and_names_the_thread() {
    let hook = |call| assert_ne!(call, Call::Read(512), "a test asks for it");
    let image = Arc::new(Hooked { disk: MemoryDisk::new(pattern(), false), hook });
    let mut threads = Threads::new(image, 2);
    threads.guest.start(feature::VERSION_1 | blk::F_MQ);
    threads.header(OUT, blk::T_IN, 1);
    threads.submit(1, &[read_only(OUT, 16), write_only(IN, 513)], 0);
    // Nobody waits for the lost queue, nor is the other lost with it.
    while !threads.requests.is_pending() {
        thread::yield_now();
    }
    let name = "blk0q1".to_string();
    assert_eq!(threads.requests.first(), Some(MachineRequest::ThreadFailed { name }));
    threads.header(place(0, 0), blk::T_IN, 2);
    let request = [read_only(place(0, 0), 16), write_only(place(0, 0) + 0x1000, 513)];
    threads.submit(0, &request, 0);
    assert_eq!(threads.used(0).1, 513);
    threads.guest.regs.set_status(0);
    threads.guest.start(feature::VERSION_1 | blk::F_MQ);
}

#[test]
fn a_flush_comes_after_the_write_that_asked_for_it() {
    let (calls, called) = mpsc::channel();
    let hook = move |call| calls.send(call).unwrap();
    let image = Arc::new(Hooked { disk: MemoryDisk::new(pattern(), false), hook });
    let mut threads = Threads::new(image, 1);
    threads.guest.start(feature::VERSION_1);
    threads.header(OUT, blk::T_OUT, 3);
    threads.submit(0, &[read_only(OUT, 528), write_only(IN, 1)], 0);
    assert_eq!(threads.used(0).1, 1);
    drop(threads);
    assert_eq!(called.iter().collect::<Vec<_>>(), [Call::Write(3 * 512), Call::Flush]);
}
