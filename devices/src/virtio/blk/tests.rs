use std::io::ErrorKind;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::backend::disk::{Fault, MemoryDisk};
use crate::virtio::spec::{blk, desc, feature};
use crate::virtio::testing::*;

const OUT: u64 = 0x10_0000;
const IN: u64 = 0x20_0000;
const DISK_LEN: u64 = 64 * 512;
const UNTOUCHED: u8 = 0xee;

struct Bench {
    guest: Guest<MmioRegisters>,
    disk: MemoryDisk,
}

fn len32(len: usize) -> u32 {
    len.try_into().unwrap()
}

fn pattern() -> Vec<u8> {
    (0..DISK_LEN).map(|i| (i % 251).try_into().unwrap()).collect()
}

impl Bench {
    fn new(read_only: bool, features: u64) -> Self {
        let disk = MemoryDisk::new(pattern(), read_only);
        let options = DiskOptions { serial: "a-disk".into(), ..DiskOptions::default() };
        let device = Blk::on_loop(Arc::new(disk.clone()), &options).unwrap();
        let mut guest = Guest::mmio(device);
        guest.start(feature::VERSION_1 | features);
        Self { guest, disk }
    }

    /// Runs one chain; returns the used length and the last writable byte.
    fn run(&mut self, segments: &[Segment]) -> (u32, u8) {
        let head = self.guest.queues[0].add(&self.guest.mem, segments);
        self.guest.kick(0);
        let (id, len) = self.guest.used(0).unwrap();
        assert_eq!(id, u32::from(head));
        let last = segments.iter().rfind(|s| s.flags & desc::WRITE != 0 && s.len > 0);
        let at = last.map_or(0, |s| s.addr + u64::from(s.len) - 1);
        (len, self.guest.read(at, 1)[0])
    }

    /// Puts a request into memory, its writable part untouched.
    fn put(&self, kind: u32, sector: u64, outgoing: &[u8], incoming: usize) {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(sector.to_le_bytes());
        bytes.extend(outgoing);
        self.guest.write(OUT, &bytes);
        self.guest.write(IN, &vec![UNTOUCHED; incoming + 1]);
    }

    /// Runs a request in one readable and one writable buffer.
    fn request(&mut self, kind: u32, sector: u64, outgoing: &[u8], incoming: usize) -> (u32, u8) {
        self.put(kind, sector, outgoing, incoming);
        self.run(&[read_only(OUT, 16 + len32(outgoing.len())), write_only(IN, len32(incoming) + 1)])
    }

    fn assert_works(&mut self) {
        assert_eq!(self.request(blk::T_IN, 3, &[], 512), (513, blk::S_OK));
        assert_eq!(self.guest.read(IN, 512), self.disk.bytes()[3 * 512..4 * 512]);
    }
}

#[test]
fn a_read_brings_the_disk_to_memory() {
    let mut bench = Bench::new(false, 0);
    assert_eq!(bench.request(blk::T_IN, 1, &[], 1024), (1025, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 1024), pattern()[512..1536]);
    assert_eq!(bench.guest.regs.take_interrupts(), 1);
}

#[test]
fn a_write_brings_memory_to_the_disk() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    assert_eq!(bench.request(blk::T_OUT, 2, &[7; 512], 0), (1, blk::S_OK));
    let mut wanted = pattern();
    wanted[1024..1536].fill(7);
    assert_eq!(bench.disk.bytes(), wanted);
    assert_eq!(bench.disk.flushes(), 0);
}

#[test]
fn a_flush_is_one_flush_of_the_disk() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.flushes(), 1);
}

#[test]
fn without_flush_each_write_is_stable() {
    let mut bench = Bench::new(false, 0);
    assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.flushes(), 1);
}

#[test]
fn the_id_is_cut_to_the_buffer() {
    let mut bench = Bench::new(false, 0);
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 20), (21, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 20), b"a-disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 3), (4, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 3), b"a-d");
    // A longer buffer is left alone behind the id, and the length says so.
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 30), (20, blk::S_OK));
    assert_eq!(bench.guest.read(IN + 20, 10), [UNTOUCHED; 10]);
}

#[test]
fn an_unknown_type_is_unsupported() {
    let mut bench = Bench::new(false, 0);
    for kind in [2, 3, 5, 11, 13, 0x8000_0000, u32::MAX] {
        assert_eq!(bench.request(kind, 0, &[], 0), (1, blk::S_UNSUPP));
        assert_eq!(bench.request(kind, 0, &[1; 16], 16), (0, blk::S_UNSUPP));
    }
    bench.assert_works();
}

#[test]
fn a_read_only_disk_says_so_and_refuses_writes() {
    let mut bench = Bench::new(true, blk::F_FLUSH);
    assert_ne!(bench.guest.regs.device_features() & blk::F_RO, 0);
    assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_IOERR));
    assert_eq!(bench.disk.bytes(), pattern());
    assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_OK));
    bench.assert_works();
}

#[test]
fn sectors_past_the_end_are_refused() {
    let mut bench = Bench::new(false, 0);
    let sectors = DISK_LEN / 512;
    let edge = 1 << 55;
    for sector in [sectors, sectors - 1, edge - 1, edge, edge + 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(bench.request(blk::T_IN, sector, &[], 1024), (0, blk::S_IOERR));
        assert_eq!(bench.guest.read(IN, 1024), [UNTOUCHED; 1024]);
        assert_eq!(bench.request(blk::T_OUT, sector, &[1; 1024], 0), (1, blk::S_IOERR));
    }
    assert_eq!(bench.disk.bytes(), pattern());
    bench.assert_works();
}

#[test]
fn the_last_sector_is_the_guests() {
    let mut bench = Bench::new(false, 0);
    let last = DISK_LEN / 512 - 1;
    assert_eq!(bench.request(blk::T_OUT, last, &[9; 512], 0), (1, blk::S_OK));
    assert_eq!(bench.request(blk::T_IN, last, &[], 512), (513, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 512), [9; 512]);
}

#[test]
fn parts_of_sectors_are_refused() {
    let mut bench = Bench::new(false, 0);
    for len in [1, 511, 513] {
        assert_eq!(bench.request(blk::T_IN, 0, &[], len), (0, blk::S_IOERR));
        assert_eq!(bench.request(blk::T_OUT, 0, &vec![1; len], 0), (1, blk::S_IOERR));
    }
    assert_eq!(bench.request(blk::T_IN, 0, &[], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.bytes(), pattern());
}

#[test]
fn a_short_header_is_answered_in_the_status_byte() {
    let mut bench = Bench::new(false, 0);
    for len in 0..16 {
        bench.put(blk::T_IN, 0, &[], 0);
        assert_eq!(bench.run(&[read_only(OUT, len), write_only(IN, 1)]), (1, blk::S_IOERR));
    }
    assert_eq!(bench.run(&[write_only(IN, 9)]), (0, blk::S_IOERR));
    bench.assert_works();
}

#[test]
fn a_request_without_status_byte_is_given_back_undone() {
    let mut bench = Bench::new(false, 0);
    bench.put(blk::T_OUT, 0, &[1; 512], 0);
    assert_eq!(bench.run(&[read_only(OUT, 16 + 512)]).0, 0);
    assert_eq!(bench.disk.bytes(), pattern());
    bench.assert_works();
}

#[test]
fn short_and_interrupted_transfers_are_completed() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    let faults =
        [Fault::Short(1), Fault::Error(ErrorKind::Interrupted), Fault::Short(700), Fault::Short(3)];
    bench.disk.inject(faults);
    assert_eq!(bench.request(blk::T_IN, 5, &[], 1024), (1025, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 1024), pattern()[5 * 512..7 * 512]);
    bench.disk.inject(faults);
    assert_eq!(bench.request(blk::T_OUT, 9, &[8; 1024], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.bytes()[9 * 512..11 * 512], [8; 1024]);
    bench.disk.inject([Fault::Error(ErrorKind::Interrupted)]);
    assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_OK));
}

#[test]
fn host_errors_are_answered_and_the_device_goes_on() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        bench.disk.inject([Fault::Short(100), Fault::Error(kind)]);
        assert_eq!(bench.request(blk::T_IN, 0, &[], 512), (0, blk::S_IOERR));
        bench.disk.inject([Fault::Error(kind)]);
        assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_IOERR));
        bench.disk.inject([Fault::Error(kind)]);
        assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_IOERR));
        bench.disk.inject([Fault::Short(0)]);
        assert_eq!(bench.request(blk::T_IN, 0, &[], 512), (0, blk::S_IOERR));
        bench.assert_works();
    }
}

#[test]
fn the_configuration_tells_capacity_and_segments() {
    let mut bench = Bench::new(false, 0);
    let mut config = [0xff; 24];
    bench.guest.regs.read_config(0, &mut config);
    assert_eq!(config[..8], (DISK_LEN / 512).to_le_bytes());
    assert_eq!(config[8..], [0, 0, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
}

/// Cuts `len` bytes from `addr` at `cuts`, which may be anywhere.
fn cut(addr: u64, len: u32, cuts: &[u32], segment: fn(u64, u32) -> Segment) -> Vec<Segment> {
    let mut ends: Vec<u32> = cuts.iter().map(|c| c % (len + 1)).collect();
    ends.sort_unstable();
    ends.push(len);
    let mut start = 0;
    let mut segments = Vec::new();
    for end in ends {
        segments.push(segment(addr + u64::from(start), end - start));
        start = end;
    }
    segments
}

fn assert_cut_read(bench: &mut Bench, out: &[u32], incoming: &[u32]) {
    bench.put(blk::T_IN, 4, &[], 1024);
    let mut segments = cut(OUT, 16, out, read_only);
    segments.extend(cut(IN, 1025, incoming, write_only));
    assert_eq!(bench.run(&segments), (1025, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 1024), pattern()[4 * 512..6 * 512]);
}

fn assert_cut_write(bench: &mut Bench, byte: u8, out: &[u32]) {
    bench.put(blk::T_OUT, 8, &[byte; 512], 0);
    let mut segments = cut(OUT, 16 + 512, out, read_only);
    segments.push(write_only(IN, 1));
    assert_eq!(bench.run(&segments), (1, blk::S_OK));
    assert_eq!(bench.disk.bytes()[8 * 512..9 * 512], [byte; 512]);
}

#[test]
fn requests_may_be_split_at_every_byte() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    for at in 0..=16 {
        assert_cut_read(&mut bench, &[at], &[]);
    }
    for at in 0..=1025 {
        assert_cut_read(&mut bench, &[], &[at]);
    }
    for at in 0_u32..=16 + 512 {
        assert_cut_write(&mut bench, at.to_le_bytes()[0], &[at]);
    }
    for at in 0..=21 {
        bench.put(blk::T_GET_ID, 0, &[], 20);
        let mut segments = vec![read_only(OUT, 16)];
        segments.extend(cut(IN, 21, &[at], write_only));
        assert_eq!(bench.run(&segments), (21, blk::S_OK));
        assert_eq!(bench.guest.read(IN, 6), b"a-disk");
    }
}

proptest! {
    #[test]
    fn requests_may_be_split_in_many_ways(
        out in prop::collection::vec(any::<u32>(), 0..20),
        incoming in prop::collection::vec(any::<u32>(), 0..20),
        byte: u8,
    ) {
        let mut bench = Bench::new(false, blk::F_FLUSH);
        assert_cut_read(&mut bench, &out, &incoming);
        assert_cut_write(&mut bench, byte, &out);
    }

    #[test]
    fn any_chain_is_answered_within_its_buffers(
        header in prop::collection::vec(any::<u8>(), 0..40),
        outgoing in 0_u32..2000,
        incoming in prop::collection::vec(0_u32..1200, 0..6),
    ) {
        let mut bench = Bench::new(false, 0);
        bench.guest.write(OUT, &header);
        let mut segments = vec![read_only(OUT, outgoing)];
        segments.extend(incoming.iter().map(|len| write_only(IN, *len)));
        let room: u32 = incoming.iter().sum();
        prop_assert!(bench.run(&segments).0 <= room);
        bench.assert_works();
    }
}
