use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vm_memory::{Bytes, VolatileSlice};

use super::{Access, DiskImage, Gate, Geometry, Place, Stable};

/// What goes wrong with one call to a [`MemoryDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The transfer moves at most this many bytes.
    Short(usize),
    /// The call fails so.
    Error(io::ErrorKind),
    /// The call fails with this `errno`.
    Os(i32),
}

impl Fault {
    /// How much a call may move at most.
    fn limit(self) -> io::Result<usize> {
        match self {
            Self::None => Ok(usize::MAX),
            Self::Short(most) => Ok(most),
            Self::Error(kind) => Err(kind.into()),
            Self::Os(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
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
    /// The size that was announced; [`DiskImage::refresh`] looks again.
    size: usize,
    faults: VecDeque<Fault>,
    flushes: usize,
    discarded: Vec<(u64, u64)>,
    /// Whether every call fails: the device has gone.
    gone: bool,
}

impl Contents {
    /// How much the next call may move at most.
    fn next_call(&mut self) -> io::Result<usize> {
        if self.gone {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        self.faults.pop_front().unwrap_or(Fault::None).limit()
    }

    fn range(&mut self, offset: u64, len: u64) -> &mut [u8] {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let end = index(offset.saturating_add(len)).min(self.bytes.len());
        self.bytes.get_mut(index(offset)..end).unwrap_or_default()
    }
}

impl MemoryDisk {
    /// A disk that holds `bytes`. A clone is another handle to the same disk.
    pub fn new(bytes: Vec<u8>, read_only: bool) -> Self {
        let contents = Contents {
            size: bytes.len(),
            bytes,
            faults: VecDeque::new(),
            flushes: 0,
            discarded: Vec::new(),
            gone: false,
        };
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

    /// The discards that reached the disk: first byte and bytes of each.
    pub fn discarded(&self) -> Vec<(u64, u64)> {
        self.lock().discarded.clone()
    }

    /// Grows or shrinks the disk behind the device's back.
    pub fn resize(&self, len: usize) {
        self.lock().bytes.resize(len, 0);
    }

    /// From now on, every call fails.
    pub fn vanish(&self) {
        self.lock().gone = true;
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
    let mut limit = disk.next_call()?;
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

impl DiskImage for MemoryDisk {
    fn name(&self) -> String {
        "in memory".into()
    }

    fn geometry(&self) -> Geometry {
        Geometry {
            size: self.lock().size.try_into().expect("a length fits 64 bits"),
            block_size: 512,
            physical_block_size: 512,
            memory_align: 1,
            discard_granularity: if self.read_only { 0 } else { 512 },
        }
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn place(&self, _offset: u64, len: u64, _access: Access) -> io::Result<(Place<'_>, u64)> {
        Ok((Place::Elsewhere, len))
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        None
    }

    fn stable(&self) -> Stable<'_> {
        Stable::Image
    }

    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        transfer(&mut self.lock(), pieces, offset, |disk, guest| guest.copy_from(disk))
    }

    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        assert!(!self.read_only, "a read-only disk is not written");
        transfer(&mut self.lock(), pieces, offset, |disk, guest| {
            guest.read_slice(disk, 0).expect("both have one length");
        })
    }

    fn flush(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.next_call()?;
        disk.flushes += 1;
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        assert!(!self.read_only, "a read-only disk is not discarded");
        let mut disk = self.lock();
        disk.next_call()?;
        disk.range(offset, len).fill(0);
        disk.discarded.push((offset, len));
        Ok(())
    }

    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> io::Result<()> {
        assert!(!self.read_only, "a read-only disk is not zeroed");
        let mut disk = self.lock();
        disk.next_call()?;
        disk.range(offset, len).fill(0);
        Ok(())
    }

    fn refresh(&self) -> io::Result<bool> {
        let mut disk = self.lock();
        disk.next_call()?;
        let len = disk.bytes.len();
        Ok(std::mem::replace(&mut disk.size, len) != len)
    }
}
