//! What a crash may leave: each write that reached the file is recorded, and
//! images are made of those that a killed process, or a host without power,
//! would have left.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use imago::FormatAccess;
use imago::qcow2::Qcow2;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use vmm_core::sys::{ImageFile, Stored};

use super::*;
use crate::backend::disk::qcow2::ordered::SyncFile;
use crate::backend::disk::qcow2::part::Part;
use crate::backend::disk::qcow2::{Header, chain};

const SECTOR: usize = 512;
const SIZE: usize = 4 << 20;
/// How many crashes of each kind are looked at.
const CRASHES: usize = 8;

#[derive(Clone)]
enum Event {
    Write { at: usize, bytes: Vec<u8> },
    Sync,
}

/// A file in memory that remembers what was done to it.
#[derive(Default)]
struct Recorder {
    inner: Mutex<Recorded>,
    /// Decides which writes and barriers fail.
    fails: Mutex<Option<TestRng>>,
}

impl Recorder {
    fn new(bytes: Vec<u8>) -> Self {
        let inner = Mutex::new(Recorded { bytes, events: Vec::new() });
        Self { inner, fails: Mutex::default() }
    }

    /// One in eight fails, if any does.
    fn fault(&self) -> io::Result<()> {
        let is_fault = self.fails.lock().unwrap().as_mut().is_some_and(|rng| below(rng, 8) == 0);
        if is_fault { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[derive(Default)]
struct Recorded {
    bytes: Vec<u8>,
    events: Vec<Event>,
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    image.resize(image.len().max(at + bytes.len()), 0);
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl ImageFile for Recorder {
    fn size(&self) -> io::Result<u64> {
        Ok(self.inner.lock().unwrap().bytes.len().try_into().unwrap())
    }

    fn read(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        let inner = self.inner.lock().unwrap();
        let from = inner.bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let len = to.len().min(from.len());
        to[..len].copy_from_slice(&from[..len]);
        to[len..].fill(0);
        Ok(())
    }

    fn write(&self, from: &[u8], offset: u64) -> io::Result<()> {
        self.fault()?;
        let mut inner = self.inner.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        put(&mut inner.bytes, at, from);
        inner.events.push(Event::Write { at, bytes: from.to_vec() });
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.write(&vec![0; usize::try_from(len).unwrap()], offset)
    }
}

impl SyncFile for Recorder {
    fn sync(&self) -> io::Result<()> {
        self.fault()?;
        self.inner.lock().unwrap().events.push(Event::Sync);
        Ok(())
    }
}

type Access = FormatAccess<Stored<Part<Recorder>>>;

/// Random requests to an image, and what they did.
struct Run {
    start: Vec<u8>,
    events: Vec<Event>,
    /// What was flushed, by the number of events there were when that was said.
    flushed: BTreeMap<usize, Vec<u8>>,
    /// Each sector written: its number, its contents, and how many events there
    /// were before.
    written: Vec<(usize, Vec<u8>, usize)>,
}

fn random() -> TestRng {
    seeded(7)
}

fn seeded(seed: u8) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])
}

fn below(rng: &mut TestRng, limit: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(limit).unwrap()).unwrap()
}

impl Run {
    fn new(images: &Images, open: impl Fn(&Arc<Recorder>, &Header) -> (Access, Flush)) -> Self {
        let start = fs::read(images.path("disk")).unwrap();
        images.qemu_img("convert -f qcow2 -O raw disk disk.raw");
        let mut model = fs::read(images.path("disk.raw")).unwrap();
        let recorder = Arc::new(Recorder::new(start.clone()));
        let header = Header::parse(&start[..512], start.len().try_into().unwrap()).unwrap();
        let (access, flush) = open(&recorder, &header);
        let events = || recorder.inner.lock().unwrap().events.len();
        let (mut flushed, mut written) = (BTreeMap::from([(0, model.clone())]), Vec::new());
        let mut rng = random();
        for request in 1..=400_usize {
            let sector = below(&mut rng, SIZE / SECTOR - 16);
            let len = (1 + below(&mut rng, 16)) * SECTOR;
            let (at, is_zero) = (sector * SECTOR, request % 9 == 0);
            let seed = if is_zero { 0 } else { u8::try_from(request % 255).unwrap() + 1 };
            for here in (sector..).take(len / SECTOR) {
                written.push((here, vec![seed; SECTOR], events()));
            }
            model[at..at + len].fill(seed);
            if is_zero {
                let (at, len) = (u64::try_from(at).unwrap(), u64::try_from(len).unwrap());
                access.write_zeroes(at, len).unwrap();
            } else {
                access.write(&vec![seed; len][..], u64::try_from(at).unwrap()).unwrap();
            }
            if request % 25 == 0 {
                access.flush().unwrap();
                flush();
                flushed.insert(events(), model.clone());
            }
        }
        // What dropping it would write is not part of this.
        let events = recorder.inner.lock().unwrap().events.clone();
        drop(access);
        Self { start, events, flushed, written }
    }

    /// The image if the first `count` events have happened; of what was written
    /// since the last barrier, only what `keep` says.
    fn image(&self, count: usize, mut keep: impl FnMut() -> bool) -> Vec<u8> {
        let events = &self.events[..count];
        let stable = events.iter().rposition(|event| matches!(event, Event::Sync)).unwrap_or(0);
        let mut image = self.start.clone();
        for (i, event) in events.iter().enumerate() {
            if let Event::Write { at, bytes } = event
                && (i < stable || keep())
            {
                put(&mut image, *at, bytes);
            }
        }
        image
    }

    /// Whether qemu-img finds the image without corruption (leaks are none) and
    /// with all in it that was flushed.
    fn is_sound(&self, images: &Images, count: usize, image: &[u8]) -> Result<(), String> {
        images.write("left", image);
        let checked = qemu_img_output(&["check", "-f", "qcow2", "left"], images.dir.path());
        if !matches!(checked.status.code(), Some(0 | 3)) {
            return Err(format!("after {count} events: {checked:?}"));
        }
        images.qemu_img("convert -f qcow2 -O raw left left.raw");
        let contents = fs::read(images.path("left.raw")).unwrap();
        let (since, flushed) = self.flushed.range(..=count).next_back().unwrap();
        let later = self.written.iter().filter(|(_, _, before)| before >= since);
        let mut sectors: Vec<_> = flushed.chunks(SECTOR).map(|flushed| vec![flushed]).collect();
        for (sector, bytes, _) in later {
            sectors[*sector].push(bytes);
        }
        let wrong = sectors.iter().zip(contents.chunks(SECTOR)).position(|(may, is)| {
            // A new cluster may hold nothing of what was not flushed.
            let is_new = may.len() > 1 && is.iter().all(|byte| *byte == 0);
            !is_new && !may.contains(&is)
        });
        wrong.map_or(Ok(()), |sector| Err(format!("after {count} events: sector {sector}")))
    }

    fn crashes(&self) -> Vec<usize> {
        let mut rng = random();
        (0..CRASHES).map(|_| below(&mut rng, self.events.len() + 1)).collect()
    }

    /// Images left by a killed process: all that was written is there.
    fn killed(&self, images: &Images) -> Result<(), String> {
        let mut left = |count| self.is_sound(images, count, &self.image(count, || true));
        self.crashes().into_iter().try_for_each(&mut left)
    }

    /// Images left by a host without power.
    fn unpowered(&self, images: &Images) -> Result<(), String> {
        let mut rng = random();
        let mut left = |count| {
            let image = self.image(count, || rng.next_u32().is_multiple_of(2));
            self.is_sound(images, count, &image)
        };
        self.crashes().into_iter().try_for_each(&mut left)
    }
}

type Flush = Box<dyn Fn()>;

fn as_kiln_does(file: &Arc<Recorder>, header: &Header) -> (Access, Flush) {
    let (access, metadata) = chain::writable(file, header, None).unwrap();
    (access, Box::new(move || metadata.sync().unwrap()))
}

fn survives(make: impl Fn(&Images)) {
    let images = Images::new();
    make(&images);
    let run = Run::new(&images, as_kiln_does);
    run.killed(&images).unwrap();
    run.unpowered(&images).unwrap();
}

#[test]
fn new_clusters_survive_crashes() {
    survives(|images| {
        images.qemu_img("create -q -f qcow2 -o cluster_size=512 disk 4M");
    });
}

/// Its refcount table grows as well.
#[test]
fn wide_refcounts_survive_crashes() {
    survives(|images| {
        images.qemu_img("create -q -f qcow2 -o cluster_size=512,refcount_bits=64 disk 4M");
    });
}

#[test]
fn clusters_shared_with_a_snapshot_survive_crashes() {
    survives(|images| {
        images.write("all", &vec![0xee; SIZE]);
        images.qemu_img("convert -f raw -O qcow2 -o cluster_size=512 all disk");
        images.qemu_img("snapshot -c before disk");
    });
}

#[test]
fn compressed_clusters_survive_crashes() {
    survives(|images| {
        images.write("all", &vec![0xee; SIZE]);
        images.qemu_img("convert -f raw -O qcow2 -c -o cluster_size=1024 all disk");
    });
}

/// Why there is [`Ordered`](super::super::ordered::Ordered). When this fails,
/// `imago` keeps the order by itself.
#[test]
fn without_our_order_a_killed_process_leaves_a_corrupt_image() {
    let images = Images::new();
    images.qemu_img("create -q -f qcow2 -o cluster_size=512 disk 4M");
    let run = Run::new(&images, |file, _| {
        let part = Stored::new(Part::Data(Arc::clone(file)));
        let image = Qcow2::<Stored<Part<Recorder>>>::open_image(part, true).unwrap();
        let file = Arc::clone(file);
        (FormatAccess::new(image), Box::new(move || file.sync().unwrap()))
    });
    let found = run.killed(&images).unwrap_err();
    assert!(found.contains("refcount=0 reference=1"), "{found}");
}

/// What was not written for want of space may be there or not; all else is.
#[test]
fn a_host_out_of_space_leaves_an_image_in_order() {
    let images = Images::new();
    images.qemu_img("create -q -f qcow2 -o cluster_size=512 disk 4M");
    let start = fs::read(images.path("disk")).unwrap();
    let header = Header::parse(&start[..512], start.len().try_into().unwrap()).unwrap();
    let file = Arc::new(Recorder::new(start));
    let (access, metadata) = chain::writable(&file, &header, None).unwrap();
    let mut rng = random();
    let mut may_be = vec![vec![0_u8]; SIZE / SECTOR];
    let mut failed = 0;
    for request in 1..=600_usize {
        // Space comes and goes.
        *file.fails.lock().unwrap() =
            (request % 50 > 20).then(|| seeded(u8::try_from(request % 251).unwrap()));
        let sector = below(&mut rng, SIZE / SECTOR);
        let seed = u8::try_from(request % 255).unwrap() + 1;
        let at = u64::try_from(sector * SECTOR).unwrap();
        if access.write(&[seed; SECTOR][..], at).is_ok() {
            may_be[sector] = vec![seed];
        } else {
            may_be[sector].push(seed);
            failed += 1;
        }
        if request % 25 == 0 {
            let _ = access.flush().and_then(|()| metadata.sync());
        }
    }
    assert!((10..500).contains(&failed), "{failed} failed");
    *file.fails.lock().unwrap() = None;
    access.flush().unwrap();
    drop(access);
    images.write("left", &file.inner.lock().unwrap().bytes);
    let checked = qemu_img_output(&["check", "-f", "qcow2", "left"], images.dir.path());
    assert!(matches!(checked.status.code(), Some(0 | 3)), "{checked:?}");
    images.qemu_img("convert -f qcow2 -O raw left left.raw");
    for (sector, is) in fs::read(images.path("left.raw")).unwrap().chunks(SECTOR).enumerate() {
        assert!(may_be[sector].iter().any(|seed| is == [*seed; SECTOR]), "sector {sector}");
    }
}
