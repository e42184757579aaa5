//! Random requests, and an array in memory that says what must come of them.

use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::backend::disk::{Format, open};
use std::sync::Arc;

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

/// An open disk and what it must hold.
struct Pair {
    path: PathBuf,
    format: Format,
    disk: Option<Arc<dyn DiskImage>>,
    model: Vec<u8>,
}

impl Pair {
    fn new(path: PathBuf, format: Format, model: Vec<u8>) -> Self {
        let mut pair = Self { path, format, disk: None, model };
        pair.reopen();
        pair
    }

    fn reopen(&mut self) {
        let _none_start = FORKS.read();
        self.disk = None;
        self.disk = Some(open(&self.path, Some(self.format), OpenOptions::default()).unwrap());
    }

    fn disk(&self) -> &dyn DiskImage {
        self.disk.as_deref().unwrap()
    }

    fn contents(&self) -> Vec<u8> {
        let mut bytes = vec![0xaa; self.model.len()];
        read(self.disk(), &mut bytes, 0);
        bytes
    }

    fn apply(&mut self, request: Request) {
        match request {
            Request::Write { range, seed } => {
                let bytes = pattern(range.len(), seed);
                write(self.disk(), &bytes, range.start);
                self.model[range].copy_from_slice(&bytes);
            }
            Request::Discard(range) => {
                self.disk().discard(number(range.start), number(range.len())).unwrap();
                self.take_discarded(range);
            }
            Request::Zero { range, unmap } => {
                let (start, len) = (number(range.start), number(range.len()));
                self.disk().write_zeroes(start, len, unmap).unwrap();
                self.model[range].fill(0);
            }
            Request::Flush => self.disk().flush().unwrap(),
            Request::Reopen => self.reopen(),
        }
    }

    /// Discarded sectors are zeros now, or as before.
    fn take_discarded(&mut self, range: Range<usize>) {
        let mut now = vec![0xaa; range.len()];
        read(self.disk(), &mut now, range.start);
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
    let requests = prop::collection::vec(request(), 1..40);
    let ran = TestRunner::new(config).run(&requests, |requests| {
        fs::copy(images.path("template"), images.path("disk")).unwrap();
        let mut pair = Pair::new(images.path("disk"), format, model.clone());
        for request in requests {
            pair.apply(request);
        }
        assert!(pair.contents() == pair.model, "the disk is not as the model says");
        images.write("model.raw", &pair.model);
        let none_start = FORKS.read();
        drop((pair, none_start));
        if format == Format::Qcow2 {
            images.qemu_img("check -q -f qcow2 disk");
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
        },
    });
}
