mod changes;
mod config;
mod faults;
mod hooked;
mod limits;
mod requests;
mod split;
mod workers;

use std::sync::Arc;

use super::*;
use crate::backend::disk::{DiskImage, Fault, MemoryDisk};
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

fn options() -> DiskOptions {
    DiskOptions { serial: "a-disk".into(), ..DiskOptions::default() }
}

impl Bench {
    fn new(read_only: bool, features: u64) -> Self {
        let disk = MemoryDisk::new(pattern(), read_only);
        let device = Blk::on_loop(Arc::new(disk.clone()), &options()).unwrap();
        Self::with(device, disk, features)
    }

    fn with(device: Blk, disk: MemoryDisk, features: u64) -> Self {
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
