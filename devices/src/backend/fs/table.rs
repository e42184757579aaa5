use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

/// What a guest holds, counted so that it has an end.
///
/// The library counts, too, but does not say how many there are.
#[derive(Debug)]
pub(super) struct Table {
    /// How often the guest was told of each inode, the root left out.
    inodes: Mutex<HashMap<u64, u64>>,
    most: usize,
}

impl Table {
    /// A table of at most `most` inodes.
    pub(super) fn new(most: usize) -> Self {
        Self { inodes: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the guest is told of `inode`.
    ///
    /// # Errors
    /// ENFILE if it is one more than there may be; then nothing is noted.
    pub(super) fn add(&self, inode: u64) -> Result<(), Errno> {
        let mut inodes = self.lock();
        let count = inodes.len();
        match inodes.entry(inode) {
            Entry::Occupied(known) => {
                let times = known.into_mut();
                *times = times.saturating_add(1);
            }
            Entry::Vacant(_) if count >= self.most => return Err(Errno::ENFILE),
            Entry::Vacant(place) => drop(place.insert(1)),
        }
        Ok(())
    }

    /// Notes that the guest forgets `inode` as often as `times` says, at most
    /// as often as it was told of it, which is returned.
    pub(super) fn remove(&self, inode: u64, times: u64) -> u64 {
        match self.lock().entry(inode) {
            Entry::Vacant(_) => 0,
            Entry::Occupied(known) if *known.get() <= times => known.remove(),
            Entry::Occupied(mut known) => {
                *known.get_mut() -= times;
                times
            }
        }
    }
}
