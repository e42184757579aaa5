use std::sync::atomic::{AtomicU32, Ordering};

use crate::virtio::config;
use crate::virtio::spec::balloon::PAGE_SHIFT;

/// Length of the configuration space (VIRTIO 1.2 §5.5.4).
const BYTES: usize = 16;

/// The configuration space, without `free_page_hint_cmd_id`, whose feature is
/// not offered.
#[derive(Default)]
pub(super) struct Config {
    /// `num_pages`: how many the driver is to put into the balloon.
    target: AtomicU32,
    /// `actual`: how many it says are there.
    actual: AtomicU32,
    /// `poison_val`: what every word of a free page holds.
    poison: AtomicU32,
}

impl Config {
    pub(super) fn new(target: u64) -> Self {
        let config = Self::default();
        config.set_target(target);
        config
    }

    /// Has so many bytes in the balloon, rounded down to whole pages, 16 TiB
    /// at most.
    pub(super) fn set_target(&self, bytes: u64) {
        let pages = u32::try_from(bytes >> PAGE_SHIFT).unwrap_or(u32::MAX);
        self.target.store(pages, Ordering::Relaxed);
    }

    /// How many bytes are to be in the balloon.
    pub(super) fn target(&self) -> u64 {
        u64::from(self.target.load(Ordering::Relaxed)) << PAGE_SHIFT
    }

    /// How many bytes the driver says are in the balloon.
    pub(super) fn actual(&self) -> u64 {
        u64::from(self.actual.load(Ordering::Relaxed)) << PAGE_SHIFT
    }

    /// What the driver says free pages hold.
    pub(super) fn poison(&self) -> u32 {
        self.poison.load(Ordering::Relaxed)
    }

    /// Forgets what the driver wrote.
    pub(super) fn reset(&self) {
        self.actual.store(0, Ordering::Relaxed);
        self.poison.store(0, Ordering::Relaxed);
    }

    fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for (at, field) in [(0, &self.target), (4, &self.actual), (12, &self.poison)] {
            bytes[at..at + 4].copy_from_slice(&field.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes
    }

    pub(super) fn read(&self, offset: usize, data: &mut [u8]) {
        config::read(&self.bytes(), offset, data);
    }

    /// Applies what of `data` falls on `actual` and `poison_val`.
    pub(super) fn write(&self, offset: usize, data: &[u8]) {
        let mut bytes = self.bytes();
        let Some(place) = bytes.get_mut(offset..) else { return };
        let len = place.len().min(data.len());
        place[..len].copy_from_slice(&data[..len]);
        for (at, field) in [(4, &self.actual), (12, &self.poison)] {
            let word = bytes[at..at + 4].try_into().expect("four bytes");
            field.store(u32::from_le_bytes(word), Ordering::Relaxed);
        }
    }
}
