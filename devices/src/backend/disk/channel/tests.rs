mod failing;
mod model;
mod patchwork;

use std::os::unix::fs::FileExt;
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress, GuestMemory};
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use nix::libc;

use super::*;
use crate::backend::disk::{Access, CacheMode, Fault, MemoryDisk, OpenOptions, RawDisk};
use crate::virtio::testing::ram;

/// Runs `test` with each kind of channel.
fn each(test: impl Fn(Make)) {
    test(|image, _ram| sync_channel(image));
    if vmm_core::sys::probe::io_uring().is_ok() {
        test(|image, ram| {
            let channel = channel(image, ram, DEPTH);
            assert_eq!(channel.engine(), "io_uring");
            channel
        });
    } else {
        eprintln!("skipped: the host allows no io_uring");
    }
}

type Make = fn(Arc<dyn DiskImage>, Arc<GuestRam>) -> Box<dyn Channel>;

const DEPTH: u16 = 64;

/// A channel with guest memory and a doorbell.
struct Bench {
    ram: Arc<GuestRam>,
    channel: Box<dyn Channel>,
    wake: EventFd,
}

impl Bench {
    fn new(make: Make, image: Arc<dyn DiskImage>) -> Self {
        let (ram, wake) = (ram(), EventFd::new(EFD_NONBLOCK).unwrap());
        Self { channel: make(image, Arc::clone(&ram)), ram, wake }
    }

    /// Starts a transfer of the pieces at these guest addresses.
    fn start(&mut self, token: u16, access: Access, pieces: &[(u64, usize)], offset: u64) {
        let ram = Arc::clone(&self.ram);
        let buffer = buffer(&ram, pieces);
        let operation = match access {
            Access::Read => Operation::Read { to: buffer, offset },
            Access::Write => Operation::Write { from: buffer, offset },
        };
        self.channel.start(operation, token);
    }

    /// The ends of the next `count` operations, by token.
    fn ends(&mut self, count: usize) -> Vec<Ended> {
        let mut ended = Vec::new();
        while ended.len() < count {
            self.channel.wait(&self.wake, None).unwrap();
            self.channel.reap(&mut ended);
        }
        ended.sort_by_key(|end| end.token);
        ended
    }

    fn end(&mut self) -> io::Result<()> {
        self.ends(1).remove(0).result
    }

    fn run(&mut self, operation: Operation<'_>) -> io::Result<()> {
        self.channel.start(operation, 0);
        self.end()
    }
}

fn buffer<'m>(ram: &'m GuestRam, pieces: &[(u64, usize)]) -> Buffer<'m> {
    let mut buffer = Buffer::default();
    for (addr, len) in pieces {
        buffer.push(ram.get_slice(GuestAddress(*addr), *len).unwrap());
    }
    buffer
}

fn contents(ram: &GuestRam, addr: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ram.read_slice(&mut bytes, GuestAddress(addr)).unwrap();
    bytes
}

fn raw(len: u64) -> (tempfile::TempDir, Arc<RawDisk>, std::fs::File) {
    opened(len, OpenOptions::default())
}

fn direct(len: u64) -> (tempfile::TempDir, Arc<RawDisk>, std::fs::File) {
    opened(len, OpenOptions { cache: CacheMode::Direct, ..OpenOptions::default() })
}

fn opened(len: u64, options: OpenOptions) -> (tempfile::TempDir, Arc<RawDisk>, std::fs::File) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let file = std::fs::File::create_new(&path).unwrap();
    file.set_len(len).unwrap();
    let disk = RawDisk::open(&path, options).unwrap();
    (dir, Arc::new(disk), file)
}

#[test]
fn pieces_of_guest_memory_come_and_go_in_order() {
    each(|make| {
        let (_dir, disk, file) = raw(8192);
        let mut bench = Bench::new(make, disk);
        bench.ram.write_slice(b"abcdefgh", GuestAddress(0x1000)).unwrap();
        bench.start(3, Access::Write, &[(0x1004, 4), (0x1000, 4)], 512);
        bench.end().unwrap();
        let mut found = [0; 8];
        file.read_exact_at(&mut found, 512).unwrap();
        assert_eq!(&found, b"efghabcd");
        bench.start(4, Access::Read, &[(0x2000, 2), (0x3000, 6)], 512);
        bench.end().unwrap();
        assert_eq!(contents(&bench.ram, 0x2000, 2), b"ef");
        assert_eq!(contents(&bench.ram, 0x3000, 6), b"ghabcd");
    });
}

#[test]
fn a_read_past_the_end_fails_and_others_go_on() {
    each(|make| {
        let (_dir, disk, file) = raw(8192);
        let mut bench = Bench::new(make, disk);
        file.set_len(4096).unwrap();
        bench.start(1, Access::Read, &[(0x1000, 512)], 7680);
        bench.start(2, Access::Read, &[(0x2000, 512)], 0);
        bench.start(3, Access::Read, &[(0x2000, 1024)], 3584);
        let ends = bench.ends(3);
        assert_eq!(ends[0].result.as_ref().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        ends[1].result.as_ref().unwrap();
        assert_eq!(ends[2].result.as_ref().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_flush_ends() {
    each(|make| {
        let (_dir, disk, _file) = raw(8192);
        Bench::new(make, disk).run(Operation::Flush).unwrap();
    });
}

#[test]
fn discarded_and_zeroed_bytes_read_as_zeros_and_others_stay() {
    each(|make| {
        let (_dir, disk, file) = raw(64 << 10);
        file.write_all_at(&[7; 64 << 10], 0).unwrap();
        let mut bench = Bench::new(make, disk);
        bench.run(Operation::Discard { offset: 4096, len: 8192 }).unwrap();
        bench.run(Operation::WriteZeroes { offset: 20480, len: 512, unmap: false }).unwrap();
        bench.run(Operation::WriteZeroes { offset: 32768, len: 4096, unmap: true }).unwrap();
        let mut expected = vec![7; 64 << 10];
        for zeros in [4096..12288, 20480..20992, 32768..36864] {
            expected[zeros].fill(0);
        }
        let mut found = vec![0; 64 << 10];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == expected);
    });
}

#[test]
fn interrupted_and_short_transfers_end_whole() {
    each(|make| {
        let disk = MemoryDisk::new((0..=255).cycle().take(4096).collect(), false);
        let mut bench = Bench::new(make, Arc::new(disk.clone()));
        let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock];
        disk.inject(kinds.map(Fault::Error));
        disk.inject([Fault::Short(1), Fault::Short(511), Fault::Error(kinds[0])]);
        bench.start(0, Access::Read, &[(0x1000, 100), (0x2000, 924)], 512);
        bench.end().unwrap();
        assert_eq!(contents(&bench.ram, 0x1000, 100), disk.bytes()[512..612]);
        assert_eq!(contents(&bench.ram, 0x2000, 924), disk.bytes()[612..1536]);
        disk.inject(kinds.map(Fault::Error));
        bench.run(Operation::Flush).unwrap();
        assert_eq!(disk.flushes(), 1);
    });
}

#[test]
fn what_the_host_says_of_a_request_ends_that_one() {
    each(|make| {
        let disk = MemoryDisk::new(vec![1; 4096], false);
        let mut bench = Bench::new(make, Arc::new(disk.clone()));
        for errno in [libc::ENOSPC, libc::EIO, libc::EDQUOT] {
            disk.inject([Fault::Short(512), Fault::Os(errno)]);
            bench.start(0, Access::Write, &[(0x1000, 1024)], 0);
            assert_eq!(bench.end().unwrap_err().raw_os_error(), Some(errno));
            bench.start(0, Access::Write, &[(0x1000, 1024)], 0);
            bench.end().unwrap();
        }
        disk.inject([Fault::Os(libc::EIO)]);
        assert!(bench.run(Operation::Flush).is_err());
        disk.vanish();
        assert!(bench.run(Operation::Discard { offset: 0, len: 512 }).is_err());
        bench.start(0, Access::Read, &[(0x1000, 512)], 0);
        assert!(bench.end().is_err());
    });
}

#[test]
fn a_wait_ends_at_its_time_or_when_the_doorbell_rings() {
    each(|make| {
        let (_dir, disk, _file) = raw(512);
        let mut bench = Bench::new(make, disk);
        let until = Instant::now() + Duration::from_millis(1);
        bench.channel.wait(&bench.wake, Some(until)).unwrap();
        assert!(Instant::now() >= until);
        for _ in 0..3 {
            bench.wake.write(1).unwrap();
            bench.channel.wait(&bench.wake, None).unwrap();
        }
    });
}

#[test]
fn as_many_operations_as_were_asked_for_are_in_flight() {
    each(|make| {
        let (_dir, disk, file) = raw(1 << 20);
        let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        file.write_all_at(&bytes, 0).unwrap();
        let mut bench = Bench::new(make, disk);
        for round in 0..4_u16 {
            for token in 0..DEPTH {
                let at = u64::from(token) * 1024;
                bench.start(
                    token,
                    Access::Read,
                    &[(at, 300), (at + 512, 212)],
                    at + u64::from(round),
                );
            }
            let ends = bench.ends(usize::from(DEPTH));
            assert!(ends.iter().zip(0..DEPTH).all(|(end, n)| end.token == n && end.result.is_ok()));
            assert_eq!(contents(&bench.ram, 1024, 300), bytes[1024..][usize::from(round)..][..300]);
        }
    });
}

#[test]
fn a_channel_dropped_with_writes_in_flight_has_done_them() {
    each(|make| {
        let (_dir, disk, file) = raw(1 << 20);
        let mut bench = Bench::new(make, disk);
        bench.ram.write_slice(&[7; 4096], GuestAddress(0x1000)).unwrap();
        for token in 0..DEPTH {
            bench.start(token, Access::Write, &[(0x1000, 4096)], u64::from(token) * 4096);
        }
        drop(bench);
        let mut found = vec![0; usize::from(DEPTH) * 4096];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found.iter().all(|byte| *byte == 7));
    });
}
