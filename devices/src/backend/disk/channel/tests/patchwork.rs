use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use vm_memory::{Bytes, VolatileSlice};

use crate::backend::disk::{Access, DiskImage, Gate, Geometry, Place, Stable};

pub(super) const BLOCK: u64 = 4096;

/// An image that keeps each of its blocks in another way, by number:
/// 0. in the file, in reverse order;
/// 1. nowhere until it is written, then as 0; back to nowhere when discarded;
/// 2. where only the image can reach it;
/// 3. as 2, and written only while nothing else runs.
///
/// It panics if anything runs beside what must run alone.
pub(super) struct Patchwork {
    file: File,
    blocks: u64,
    /// Blocks that are not in the file, or are in it though they might not be.
    kept: Mutex<Vec<Option<Vec<u8>>>>,
    gate: Arc<Gate>,
    running: AtomicUsize,
    alone: AtomicBool,
}

impl Patchwork {
    pub(super) fn new(blocks: u64) -> Self {
        let file = tempfile::tempfile().unwrap();
        file.set_len(blocks * BLOCK).unwrap();
        let kept = (0..blocks).map(|n| (n % 4 >= 2).then(|| vec![0; 4096])).collect();
        Self {
            file,
            blocks,
            kept: Mutex::new(kept),
            gate: Arc::default(),
            running: AtomicUsize::new(0),
            alone: AtomicBool::new(false),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Option<Vec<u8>>>> {
        self.kept.lock().unwrap()
    }

    fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        self.running.fetch_add(1, Ordering::SeqCst);
        assert!(!self.alone.load(Ordering::SeqCst), "beside what must run alone");
        let result = work();
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }

    fn run_alone<T>(&self, work: impl FnOnce() -> T) -> T {
        assert!(!self.alone.swap(true, Ordering::SeqCst), "two that must run alone");
        assert_eq!(self.running.load(Ordering::SeqCst), 0, "something runs beside");
        let result = work();
        self.alone.store(false, Ordering::SeqCst);
        result
    }

    /// Where a block is in the file.
    fn at(&self, block: u64) -> u64 {
        (self.blocks - 1 - block) * BLOCK
    }

    fn is_nowhere(&self, block: u64) -> bool {
        block % 4 == 1 && self.kept()[index(block)].is_none()
    }

    fn bytes(&self, block: u64) -> Vec<u8> {
        if self.is_nowhere(block) {
            return vec![0; 4096];
        }
        if block % 4 >= 2 {
            return self.kept()[index(block)].clone().unwrap();
        }
        let mut bytes = vec![0; 4096];
        self.file.read_exact_at(&mut bytes, self.at(block)).unwrap();
        bytes
    }

    fn change(&self, offset: u64, bytes: &[u8]) {
        let (block, within) = (offset / BLOCK, index(offset % BLOCK));
        let mut new = self.bytes(block);
        new[within..][..bytes.len()].copy_from_slice(bytes);
        if block % 4 < 2 {
            self.file.write_all_at(&new, self.at(block)).unwrap();
        }
        if block % 4 > 0 {
            self.kept()[index(block)] = Some(new);
        }
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.run_alone(|| {
            let end = offset + len;
            let mut at = offset;
            while at < end {
                let here = (BLOCK - at % BLOCK).min(end - at);
                let block = at / BLOCK;
                if here == BLOCK && block % 4 == 1 {
                    self.kept()[index(block)] = None;
                    // What lies there now is somebody else's.
                    self.file.write_all_at(&[0xee; 4096], self.at(block)).unwrap();
                } else {
                    self.change(at, &vec![0; index(here)]);
                }
                at += here;
            }
        });
        Ok(())
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

/// What one call moves: the piece's part in the block at `offset`.
fn here(pieces: &[VolatileSlice<'_>], offset: u64) -> usize {
    pieces[0].len().min(index(BLOCK - offset % BLOCK))
}

impl DiskImage for Patchwork {
    fn name(&self) -> String {
        "patchwork".into()
    }

    fn geometry(&self) -> Geometry {
        Geometry {
            size: self.blocks * BLOCK,
            block_size: 512,
            physical_block_size: 512,
            memory_align: 1,
            discard_granularity: 4096,
        }
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn place(&self, offset: u64, len: u64, access: Access) -> io::Result<(Place<'_>, u64)> {
        self.run(|| {
            let block = offset / BLOCK;
            let file = || Place::File { file: &self.file, offset: self.at(block) + offset % BLOCK };
            let place = match (block % 4, access) {
                (0, _) => file(),
                (1, Access::Read) if self.is_nowhere(block) => Place::Zeros,
                (1, Access::Write) if self.is_nowhere(block) => Place::Elsewhere,
                (1, _) => file(),
                (3, Access::Write) => Place::Alone,
                _ => Place::Elsewhere,
            };
            Ok((place, len.min(BLOCK - offset % BLOCK)))
        })
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        Some(&self.gate)
    }

    fn stable(&self) -> Stable<'_> {
        Stable::File(&self.file)
    }

    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        self.run(|| {
            let len = here(pieces, offset);
            let bytes = self.bytes(offset / BLOCK);
            pieces[0].write_slice(&bytes[index(offset % BLOCK)..][..len], 0).unwrap();
            Ok(len)
        })
    }

    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut bytes = vec![0; here(pieces, offset)];
        pieces[0].read_slice(&mut bytes, 0).unwrap();
        let work = || self.change(offset, &bytes);
        if offset / BLOCK % 4 == 3 {
            self.run_alone(work)
        } else {
            self.run(work)
        }
        Ok(bytes.len())
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.zero(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> io::Result<()> {
        self.zero(offset, len)
    }

    fn refresh(&self) -> io::Result<bool> {
        Ok(false)
    }
}
