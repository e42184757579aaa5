use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::sys::ImageFile;

use super::refcount::Refcounts;
use super::{Header, MAGIC};

/// The bits of an L1 or refcount table entry that are a file offset.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// Where the header says where the refcount table is: its offset, 8 bytes,
/// then its length in clusters, 4 bytes.
const REFCOUNT_TABLE_FIELDS: Range<u64> = 48..60;

/// A file whose writes can be made stable.
pub(super) trait SyncFile: ImageFile {
    /// Brings all writes so far to stable storage.
    ///
    /// # Errors
    /// What the host said.
    fn sync(&self) -> io::Result<()>;
}

impl<F: SyncFile> SyncFile for Arc<F> {
    fn sync(&self) -> io::Result<()> {
        F::sync(self)
    }
}

/// A qcow2 image's file for metadata: it keeps the writes of the image's tables
/// in an order in which no crash, of this process or of the host, leaves a
/// cluster in use with a refcount that says it is free. The next program would
/// use such a cluster again, and what was in it would be lost.
///
/// `imago` writes refcount blocks and L2 tables in the right order, but with no
/// barrier in between that a power failure would respect; and it points the L1
/// and the refcount table to new clusters whose refcounts are in its cache only.
/// So here: between refcounts and other tables there is a barrier, and before a
/// pointer is written, the refcount of what it points to.
#[derive(Debug)]
pub(super) struct Ordered<F> {
    file: F,
    cluster_size: u64,
    l1_table: Range<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    refcounts: Refcounts,
    /// Clusters that hold a refcount block, by offset.
    blocks: HashSet<u64>,
    /// What has been written since the last barrier; never both.
    unsynced: Unsynced,
    /// Clusters whose refcount was written here before `imago` did. Until it
    /// does, a copy of the block from before may still be on its way.
    counted: BTreeSet<u64>,
    /// Entries of the L1 and the refcount table, and where they belong, that
    /// could not be written. `imago` does not try again, but goes by them.
    owed: VecDeque<(u64, [u8; 8])>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    Nothing,
    Refcounts,
    Tables,
}

impl<F: SyncFile> Ordered<F> {
    /// Takes the `file` of an image with that `header`.
    ///
    /// # Errors
    /// What the host said.
    pub(super) fn new(file: F, header: &Header) -> io::Result<Self> {
        let refcounts = Refcounts::load(&file, header)?;
        let state = State {
            blocks: refcounts.blocks().collect(),
            refcounts,
            unsynced: Unsynced::Nothing,
            counted: BTreeSet::new(),
            owed: VecDeque::new(),
        };
        Ok(Self {
            file,
            cluster_size: header.cluster_size(),
            l1_table: header.l1_table.clone(),
            state: Mutex::new(state),
        })
    }

    /// Brings all writes so far to stable storage.
    ///
    /// # Errors
    /// What the host said.
    pub(super) fn sync(&self) -> io::Result<()> {
        let state = &mut *self.lock();
        self.settle(state)?;
        self.barrier(state)
    }

    /// Whether all that was to be written has been.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().owed.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn barrier(&self, state: &mut State) -> io::Result<()> {
        self.file.sync()?;
        state.unsynced = Unsynced::Nothing;
        Ok(())
    }

    /// Writes what is of one kind, behind a barrier if the other kind has been
    /// written since the last.
    fn put(&self, state: &mut State, kind: Unsynced, from: &[u8], offset: u64) -> io::Result<()> {
        if state.unsynced != Unsynced::Nothing && state.unsynced != kind {
            self.barrier(state)?;
        }
        state.unsynced = kind;
        self.file.write(from, offset)
    }

    /// Writes a refcount block or a part of it.
    fn put_refcounts(&self, state: &mut State, from: &[u8], offset: u64) -> io::Result<()> {
        let mut block = from.to_vec();
        let State { refcounts, counted, .. } = state;
        // One that `imago` knows of needs no more care; the others stay.
        counted.retain(|cluster| !refcounts.keep_counted(*cluster, &mut block, offset));
        self.put(state, Unsynced::Refcounts, &block, offset)
    }

    /// Makes sure that the cluster at `offset` counts as used in the file.
    fn count(&self, state: &mut State, offset: u64) -> io::Result<()> {
        if let Some((from, at)) = state.refcounts.used(&self.file, offset)? {
            self.put(state, Unsynced::Refcounts, &from, at)?;
            state.counted.insert(offset);
        }
        Ok(())
    }

    /// Writes what could not be written before, or nothing may be.
    fn settle(&self, state: &mut State) -> io::Result<()> {
        while let Some((offset, entry)) = state.owed.front().copied() {
            self.put_entry(state, entry, offset)?;
            state.owed.pop_front();
        }
        Ok(())
    }

    /// Writes an entry of the L1 or the refcount table, now or later.
    fn put_or_owe(&self, state: &mut State, entry: [u8; 8], offset: u64) -> io::Result<()> {
        state.owed.retain(|(at, _)| *at != offset);
        state.owed.push_back((offset, entry));
        self.settle(state)
    }

    fn put_entry(&self, state: &mut State, entry: [u8; 8], offset: u64) -> io::Result<()> {
        let target = u64::from_be_bytes(entry) & OFFSET_MASK;
        if target != 0 {
            if state.refcounts.table().contains(&offset) {
                state.refcounts.enter(offset, target);
                state.blocks.insert(target);
            }
            self.count(state, target)?;
        }
        self.put_behind(state, &entry, offset)
    }

    /// Writes into the header. If the refcount table moves, the new one is in
    /// the file by now.
    fn put_header(&self, state: &mut State, from: &[u8], offset: u64) -> io::Result<()> {
        if offset == 0 && !from.starts_with(&MAGIC) {
            return Err(overlap());
        }
        let mut fields = [0; 12];
        self.file.read(&mut fields, REFCOUNT_TABLE_FIELDS.start)?;
        overlay(&mut fields, REFCOUNT_TABLE_FIELDS.start, from, offset);
        if state.refcounts.reload(&self.file, fields)? {
            state.blocks = state.refcounts.blocks().collect();
            for cluster in state.refcounts.table().step_by(self.step()) {
                self.count(state, cluster)?;
            }
        }
        self.put_behind(state, from, offset)
    }

    /// Writes what all writes so far must precede.
    fn put_behind(&self, state: &mut State, from: &[u8], offset: u64) -> io::Result<()> {
        if state.unsynced != Unsynced::Nothing {
            self.barrier(state)?;
        }
        self.put(state, Unsynced::Tables, from, offset)
    }

    fn step(&self) -> usize {
        usize::try_from(self.cluster_size).expect("a cluster is at most 2 MiB")
    }
}

impl<F: SyncFile> ImageFile for Ordered<F> {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read(to, offset)
    }

    /// A write lies in one table, and tables begin at clusters. Of the L1 and
    /// the refcount table, one entry is written at a time: more is a table that
    /// a damaged image had put where these are.
    fn write(&self, from: &[u8], offset: u64) -> io::Result<()> {
        let state = &mut *self.lock();
        if self.l1_table.contains(&offset) || state.refcounts.table().contains(&offset) {
            let entry = from.try_into().map_err(|_| overlap())?;
            return self.put_or_owe(state, entry, offset);
        }
        self.settle(state)?;
        if offset < self.cluster_size {
            self.put_header(state, from, offset)
        } else if state.blocks.contains(&(offset - offset % self.cluster_size)) {
            self.put_refcounts(state, from, offset)
        } else {
            self.put(state, Unsynced::Tables, from, offset)
        }
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.write(&vec![0; len], offset)
    }
}

fn overlap() -> io::Error {
    io::Error::other("a table of the image is where another is; `qemu-img check` says more")
}

/// Puts the part of `new` at `new_offset` that lies there over `old`, which is
/// at `old_offset`.
fn overlay(old: &mut [u8], old_offset: u64, new: &[u8], new_offset: u64) {
    for (old, at) in old.iter_mut().zip(old_offset..) {
        let byte = at.checked_sub(new_offset).and_then(|i| new.get(usize::try_from(i).ok()?));
        *old = *byte.unwrap_or(old);
    }
}
