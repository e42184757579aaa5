//! Random requests, and an array in memory that says what must come of them.

use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vm_memory::{Bytes, GuestAddress, GuestMemory};
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::backend::disk::{
    Access, CacheMode, Channel, DiskError, Format, Operation, Qcow2Error, channel, open,
    sync_channel,
};
use crate::virtio::queue::Buffer;
use crate::virtio::testing::ram;

const SECTOR: usize = 512;
/// Not a whole number of clusters.
const SIZE: usize = (1 << 20) + 3 * SECTOR;

#[derive(Clone, Debug)]
enum Request {
    Write { range: Range<usize>, seed: u8 },
    Discard(Range<usize>),
    Zero { range: Range<usize>, unmap: bool },
    Flush,
    Reopen,
}

/// Sectors of the disk, as bytes; mostly few, sometimes many.
fn range() -> impl Strategy<Value = Range<usize>> {
    let sectors = SIZE / SECTOR;
    let len = prop_oneof![4 => 1..9_usize, 2 => 1..300_usize];
    (0..sectors, len)
        .prop_map(move |(start, len)| start * SECTOR..(start + len).min(sectors) * SECTOR)
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        6 => (range(), 1..=u8::MAX).prop_map(|(range, seed)| Request::Write { range, seed }),
        2 => range().prop_map(Request::Discard),
        2 => (range(), any::<bool>()).prop_map(|(range, unmap)| Request::Zero { range, unmap }),
        1 => Just(Request::Flush),
        1 => Just(Request::Reopen),
    ]
}

/// Bytes that tell where they are.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    let byte = |i: usize| seed ^ u8::try_from(i / SECTOR % 251).unwrap();
    (0..len).map(byte).collect()
}

fn number(value: usize) -> u64 {
    value.try_into().unwrap()
}

/// How requests come to a disk.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By calls.
    Calls,
    /// Through a channel that does one at a time.
    Immediate,
    /// Through the channel that the host has, io_uring if it can.
    Queued,
}

fn way() -> impl Strategy<Value = (Way, CacheMode)> {
    let ways = prop_oneof![Just(Way::Calls), Just(Way::Immediate), Just(Way::Queued)];
    (ways, prop_oneof![3 => Just(CacheMode::Writeback), 2 => Just(CacheMode::Direct)])
}

/// A channel, and memory for what goes through it.
struct Line {
    channel: Box<dyn Channel>,
    ram: Arc<GuestRam>,
    wake: EventFd,
}

/// Not where a block or a page begins.
const BUFFER: GuestAddress = GuestAddress(0x1204);

impl Line {
    fn new(way: Way, disk: &Arc<dyn DiskImage>) -> Option<Self> {
        let ram = ram();
        let channel = match way {
            Way::Calls => return None,
            Way::Immediate => sync_channel(Arc::clone(disk)),
            Way::Queued => channel(Arc::clone(disk), Arc::clone(&ram), 4),
        };
        Some(Self { channel, ram, wake: EventFd::new(EFD_NONBLOCK).unwrap() })
    }

    fn run(&mut self, operation: Operation<'_>) {
        self.channel.start(operation, 7);
        let mut ended = Vec::new();
        while ended.is_empty() {
            self.channel.wait(&self.wake, None).unwrap();
            self.channel.reap(&mut ended);
        }
        ended.remove(0).result.unwrap();
    }

    fn transfer(&mut self, access: Access, len: usize, offset: usize) {
        let ram = Arc::clone(&self.ram);
        let mut buffer = Buffer::default();
        let (first, offset) = (len / 3, number(offset));
        for (at, len) in [(0, first), (first, len - first)] {
            let addr = GuestAddress(BUFFER.0 + number(at));
            buffer.push(ram.get_slice(addr, len).unwrap());
        }
        self.run(match access {
            Access::Read => Operation::Read { to: buffer, offset },
            Access::Write => Operation::Write { from: buffer, offset },
        });
    }
}

/// An open disk and what it must hold.
struct Pair {
    path: PathBuf,
    format: Format,
    way: Way,
    options: OpenOptions,
    line: Option<Line>,
    disk: Option<Arc<dyn DiskImage>>,
    model: Vec<u8>,
}

impl Pair {
    fn new(path: PathBuf, format: Format, (way, cache): (Way, CacheMode), model: Vec<u8>) -> Self {
        let options = OpenOptions { cache, ..OpenOptions::default() };
        let mut pair = Self { path, format, way, options, line: None, disk: None, model };
        pair.reopen();
        pair
    }

    fn reopen(&mut self) {
        self.line = None;
        self.disk = None;
        let open = |options| open(&self.path, Some(self.format), options);
        let disk = open(self.options).or_else(|error| match error {
            // Pages are shared, or the raw disk ends within a block.
            DiskError::Qcow2 { reason: Qcow2Error::SmallClusters, .. }
            | DiskError::Ragged { .. }
            | DiskError::NoDirect { .. } => open(OpenOptions::default()),
            error => Err(error),
        });
        let disk = disk.unwrap();
        self.line = Line::new(self.way, &disk);
        self.disk = Some(disk);
    }

    fn disk(&self) -> &dyn DiskImage {
        self.disk.as_deref().unwrap()
    }

    fn read(&mut self, to: &mut [u8], offset: usize) {
        let Some(line) = &mut self.line else { return read(self.disk(), to, offset) };
        line.transfer(Access::Read, to.len(), offset);
        line.ram.read_slice(to, BUFFER).unwrap();
    }

    fn write(&mut self, from: &[u8], offset: usize) {
        let Some(line) = &mut self.line else { return write(self.disk(), from, offset) };
        line.ram.write_slice(from, BUFFER).unwrap();
        line.transfer(Access::Write, from.len(), offset);
    }

    fn run(&mut self, operation: Operation<'_>) {
        let Some(line) = &mut self.line else {
            let disk = self.disk();
            return match operation {
                Operation::Discard { offset, len } => disk.discard(offset, len),
                Operation::WriteZeroes { offset, len, unmap } => {
                    disk.write_zeroes(offset, len, unmap)
                }
                _ => disk.flush(),
            }
            .unwrap();
        };
        line.run(operation);
    }

    fn contents(&mut self) -> Vec<u8> {
        let mut bytes = vec![0xaa; self.model.len()];
        self.read(&mut bytes, 0);
        bytes
    }

    fn apply(&mut self, request: Request) {
        match request {
            Request::Write { range, seed } => {
                let bytes = pattern(range.len(), seed);
                self.write(&bytes, range.start);
                self.model[range].copy_from_slice(&bytes);
            }
            Request::Discard(range) => {
                let (offset, len) = (number(range.start), number(range.len()));
                self.run(Operation::Discard { offset, len });
                self.take_discarded(range);
            }
            Request::Zero { range, unmap } => {
                let (offset, len) = (number(range.start), number(range.len()));
                self.run(Operation::WriteZeroes { offset, len, unmap });
                self.model[range].fill(0);
            }
            Request::Flush => self.run(Operation::Flush),
            Request::Reopen => self.reopen(),
        }
    }

    /// Discarded sectors are zeros now, or as before.
    fn take_discarded(&mut self, range: Range<usize>) {
        let mut now = vec![0xaa; range.len()];
        self.read(&mut now, range.start);
        for (now, old) in now.chunks(SECTOR).zip(self.model[range].chunks_mut(SECTOR)) {
            assert!(now == old || now.iter().all(|byte| *byte == 0));
            old.copy_from_slice(now);
        }
    }
}

/// An image to start from: how it is made, and what is in it.
struct Start {
    name: &'static str,
    make: fn(&Images),
}

/// As many cases of each kind as take seconds; `PROPTEST_CASES` for others.
fn run(start: &Start) {
    let images = Images::new();
    let first = pattern(SIZE, 0x5a);
    // Not all of it: what no cluster holds is special too.
    images.write("first.raw", &[&first[..SIZE / 2], &vec![0; SIZE - SIZE / 2]].concat());
    (start.make)(&images);
    fs::rename(images.path(start.name), images.path("template")).unwrap();
    let format = if start.name == "raw" { Format::Raw } else { Format::Qcow2 };
    let kind = if start.name == "raw" { "raw" } else { "qcow2" };
    images.qemu_img(&format!("convert -f {kind} -O raw template model.raw"));
    let model = fs::read(images.path("model.raw")).unwrap();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        6
    };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let requests = (way(), prop::collection::vec(request(), 1..40));
    let ran = TestRunner::new(config).run(&requests, |(way, requests)| {
        fs::copy(images.path("template"), images.path("disk")).unwrap();
        let mut pair = Pair::new(images.path("disk"), format, way, model.clone());
        for request in requests {
            pair.apply(request);
        }
        assert!(pair.contents() == pair.model, "the disk is not as the model says");
        images.write("model.raw", &pair.model);
        drop(pair);
        if format == Format::Qcow2 {
            images.qemu_img("check -q -f qcow2 disk");
        }
        if images.path("before.raw").exists() {
            images.qemu_img("convert -f qcow2 -l before -O raw disk snapshot.raw");
            images.qemu_img("compare -f raw -F raw before.raw snapshot.raw");
        }
        images.qemu_img(&format!("compare -f raw -F {kind} model.raw disk"));
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{}: {error}", start.name));
}

fn created(options: &'static str) -> impl Fn(&Images) {
    move |images| {
        images.qemu_img(&format!("convert -f raw -O qcow2 {options} first.raw disk.qcow2"));
    }
}

#[test]
fn raw_disks_hold_what_was_written() {
    run(&Start {
        name: "raw",
        make: |images| {
            fs::copy(images.path("first.raw"), images.path("raw")).unwrap();
        },
    });
}

#[test]
fn small_clusters_hold_what_was_written() {
    run(&Start { name: "disk.qcow2", make: |i| created("-o cluster_size=512")(i) });
}

#[test]
fn clusters_of_usual_size_hold_what_was_written() {
    run(&Start { name: "disk.qcow2", make: |i| created("-o cluster_size=65536")(i) });
}

#[test]
fn a_cluster_larger_than_the_disk_holds_what_was_written() {
    run(&Start { name: "disk.qcow2", make: |i| created("-o cluster_size=2M")(i) });
}

#[test]
fn version_2_holds_what_was_written() {
    run(&Start { name: "disk.qcow2", make: |i| created("-o compat=0.10,cluster_size=4096")(i) });
}

#[test]
fn wide_and_narrow_refcounts_hold_what_was_written() {
    run(&Start {
        name: "disk.qcow2",
        make: |i| {
            created("-o cluster_size=512,refcount_bits=64")(i);
        },
    });
    run(&Start {
        name: "disk.qcow2",
        make: |i| {
            created("-o cluster_size=512,refcount_bits=1")(i);
        },
    });
}

#[test]
fn preallocated_and_lazily_counted_images_hold_what_was_written() {
    run(&Start {
        name: "disk.qcow2",
        make: |images| {
            images.qemu_img(
                "create -q -f qcow2 -o preallocation=metadata,lazy_refcounts=on disk.qcow2 1050112",
            );
        },
    });
}

#[test]
fn compressed_clusters_are_read_and_overwritten() {
    run(&Start { name: "disk.qcow2", make: |i| created("-c -o cluster_size=4096")(i) });
    run(&Start { name: "disk.qcow2", make: |i| created("-c -o cluster_size=65536")(i) });
}

#[test]
fn an_image_in_front_of_others_holds_what_was_written() {
    run(&Start {
        name: "disk.qcow2",
        make: |images| {
            created("-c -o cluster_size=1024")(images);
            fs::rename(images.path("disk.qcow2"), images.path("middle.qcow2")).unwrap();
            images.qemu_img(
                "create -q -f qcow2 -b middle.qcow2 -F qcow2 -o cluster_size=4096 disk.qcow2",
            );
            for file in ["first.raw", "middle.qcow2"] {
                let mut permissions = fs::metadata(images.path(file)).unwrap().permissions();
                permissions.set_readonly(true);
                fs::set_permissions(images.path(file), permissions).unwrap();
            }
        },
    });
    run(&Start {
        name: "disk.qcow2",
        make: |images| {
            // Shorter than the disk, and no whole number of sectors.
            images.write("short.raw", &pattern(SIZE / 3 + 77, 0x11));
            images.qemu_img(&format!("create -q -f qcow2 -b short.raw -F raw disk.qcow2 {SIZE}"));
        },
    });
}

#[test]
fn internal_snapshots_stay_as_they_are() {
    run(&Start {
        name: "disk.qcow2",
        make: |images| {
            created("-o cluster_size=1024")(images);
            images.qemu_img("snapshot -c before disk.qcow2");
            fs::copy(images.path("first.raw"), images.path("before.raw")).unwrap();
        },
    });
}
