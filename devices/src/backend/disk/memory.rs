use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vm_memory::{Bytes, VolatileSlice};

use super::DiskBackend;

/// What goes wrong with one call to a [`MemoryDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The transfer moves at most this many bytes.
    Short(usize),
    /// The call fails so.
    Error(io::ErrorKind),
}

/// A disk in memory that fails as told, for tests.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    shared: Arc<Mutex<Contents>>,
    read_only: bool,
}

#[derive(Debug)]
struct Contents {
    bytes: Vec<u8>,
    faults: VecDeque<Fault>,
    flushes: usize,
}

impl MemoryDisk {
    /// A disk that holds `bytes`. A clone is another handle to the same disk.
    pub fn new(bytes: Vec<u8>, read_only: bool) -> Self {
        let contents = Contents { bytes, faults: VecDeque::new(), flushes: 0 };
        Self { shared: Arc::new(Mutex::new(contents)), read_only }
    }

    /// What the next calls meet, one each.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// What the disk holds.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// How many flushes reached the disk.
    pub fn flushes(&self) -> usize {
        self.lock().flushes
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `step` for each of `pieces` with its range of the disk, as far as
/// the disk and the next fault let it.
fn transfer(
    disk: &mut Contents,
    pieces: &[VolatileSlice<'_>],
    offset: u64,
    step: impl Fn(&mut [u8], VolatileSlice<'_>),
) -> io::Result<usize> {
    let mut limit = match disk.faults.pop_front().unwrap_or(Fault::None) {
        Fault::None => usize::MAX,
        Fault::Short(most) => most,
        Fault::Error(kind) => return Err(kind.into()),
    };
    let mut done = 0;
    let start = usize::try_from(offset).expect("a usize has 64 bits here");
    let mut rest = disk.bytes.get_mut(start..).unwrap_or_default();
    for piece in pieces {
        let len = piece.len().min(limit).min(rest.len());
        let (here, after) = rest.split_at_mut(len);
        step(here, piece.subslice(0, len).expect("no longer than the piece"));
        rest = after;
        limit -= len;
        done += len;
    }
    Ok(done)
}

impl DiskBackend for MemoryDisk {
    fn size(&self) -> u64 {
        self.lock().bytes.len().try_into().expect("a length fits 64 bits")
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn name(&self) -> String {
        "in memory".into()
    }

    fn read_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        transfer(&mut self.lock(), pieces, offset, |disk, guest| guest.copy_from(disk))
    }

    fn write_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        assert!(!self.read_only, "a read-only disk is not written");
        transfer(&mut self.lock(), pieces, offset, |disk, guest| {
            guest.read_slice(disk, 0).expect("both have one length");
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut disk = self.lock();
        if let Some(Fault::Error(kind)) = disk.faults.pop_front() {
            return Err(kind.into());
        }
        disk.flushes += 1;
        Ok(())
    }
}
