use std::fs;
use std::num::NonZeroU16;
use std::thread;

use devices::backend::fs::{Limits, Share, ShareOptions};
use devices::virtio::fs::{Fs, FsOptions, Tag};
use devices::virtio::testing::{Guest, Registers, Segment, read_only, write_only};
use tempfile::TempDir;
use vmm_core::event::RequestSender;

use super::{GOOD, Subject, run};

/// A share with a queue for requests, on the event loop or with threads.
pub(crate) struct FsSubject<const THREADS: bool> {
    _place: TempDir,
    requests: RequestSender,
}

impl<const THREADS: bool> Drop for FsSubject<THREADS> {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(self.requests.first(), None, "a thread failed");
        }
    }
}

/// A message of FUSE.
fn message(opcode: u32, node: u64, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(40 + body.len()).expect("a short message");
    let mut bytes = [len.to_le_bytes(), opcode.to_le_bytes()].concat();
    bytes.extend(7_u64.to_le_bytes());
    bytes.extend(node.to_le_bytes());
    bytes.extend([0; 16]);
    bytes.extend(body);
    bytes
}

/// FUSE_INIT of Linux 6.12.
fn init() -> Vec<u8> {
    message(26, 0, &[7_u32, 41, 0, u32::MAX].map(u32::to_le_bytes).concat())
}

impl<const THREADS: bool> Subject for FsSubject<THREADS> {
    type Device = Fs;

    const QUEUES: u32 = 2;
    const SERVED: u32 = 1;

    fn new() -> (Self, Fs) {
        let place = tempfile::tempdir().expect("a temporary folder");
        fs::write(place.path().join("file"), "contents").expect("a temporary file");
        let limits = Limits { inodes: 100, descriptors: 50, handles: 10 };
        let share = Share::open(place.path(), ShareOptions { read_only: true, limits });
        let share = share.expect("the folder was just made");
        let options = FsOptions { tag: Tag::new("files").expect("a tag"), queues: NonZeroU16::MIN };
        let requests = RequestSender::new().expect("the host has descriptors");
        let device = if THREADS {
            Fs::new(share, &options, "fs0", &requests)
        } else {
            Fs::on_loop(share, &options)
        };
        (Self { _place: place, requests }, device.expect("the host has descriptors and threads"))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        let message = init();
        guest.write(GOOD, &message);
        let len = u32::try_from(message.len()).expect("a short message");
        vec![read_only(GOOD, len), write_only(GOOD + 0x1000, 16 + 64)]
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        let segments = self.request(guest);
        assert_eq!(run(guest, 1, &segments), 16 + 64);
        let lookup = message(1, 1, b"file\0");
        guest.write(GOOD, &lookup);
        let segments = [read_only(GOOD, 45), write_only(GOOD + 0x1000, 16 + 128)];
        assert_eq!(run(guest, 1, &segments), 16 + 128);
        let node = guest.read(GOOD + 0x1010, 8).try_into().expect("eight bytes");
        let mut args = [0; 40];
        args[16] = 100;
        let read = message(15, u64::from_le_bytes(node), &args);
        guest.write(GOOD, &read);
        let segments = [read_only(GOOD, 80), write_only(GOOD + 0x1000, 200)];
        assert_eq!(run(guest, 1, &segments), 16 + 8);
        assert_eq!(guest.read(GOOD + 0x1010, 8), b"contents");
        // Nobody answers what is forgotten.
        guest.write(GOOD, &message(2, u64::from_le_bytes(node), &[1, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(run(guest, 0, &[read_only(GOOD, 48)]), 0);
    }
}
