use std::fmt;

use crate::virtio::queue::Buffer;
use crate::virtio::spec::balloon::*;

/// The most statistics that are looked at: there are fewer than 20 tags.
const MOST: usize = 64;

/// How a guest uses its memory, by its own word (VIRTIO 1.2 §5.5.6.4): what
/// it has said, and `None` for what it has not. Counts are from its start on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes swapped in.
    pub swapped_in: Option<u64>,
    /// Bytes swapped out.
    pub swapped_out: Option<u64>,
    /// Page faults that needed the disk.
    pub major_faults: Option<u64>,
    /// Page faults that did not.
    pub minor_faults: Option<u64>,
    /// Bytes that nothing uses.
    pub free: Option<u64>,
    /// Bytes that there are.
    pub total: Option<u64>,
    /// Bytes that could be had without swapping.
    pub available: Option<u64>,
    /// Bytes of files that could be had by forgetting them.
    pub caches: Option<u64>,
}

impl Stats {
    /// Reads the driver's list of tags and values. A tag that is not known is
    /// ignored; of one that comes twice, the last counts.
    pub(super) fn parse(list: &Buffer<'_>) -> Self {
        let mut bytes = [0; MOST * STAT_BYTES];
        let len = list.copy_to(&mut bytes);
        let mut stats = Self::default();
        for entry in bytes[..len].chunks_exact(STAT_BYTES) {
            let (tag, value) = entry.split_at(2);
            let tag = u16::from_le_bytes(tag.try_into().expect("2 bytes"));
            let value = u64::from_le_bytes(value.try_into().expect("10 less 2 bytes"));
            if let Some(field) = stats.field(tag) {
                *field = Some(value);
            }
        }
        stats
    }

    fn field(&mut self, tag: u16) -> Option<&mut Option<u64>> {
        Some(match tag {
            S_SWAP_IN => &mut self.swapped_in,
            S_SWAP_OUT => &mut self.swapped_out,
            S_MAJFLT => &mut self.major_faults,
            S_MINFLT => &mut self.minor_faults,
            S_MEMFREE => &mut self.free,
            S_MEMTOT => &mut self.total,
            S_AVAIL => &mut self.available,
            S_CACHES => &mut self.caches,
            _ => return None,
        })
    }
}

impl fmt::Display for Stats {
    /// What matters to a host, as `100 MiB free, 200 MiB available of 512 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: Option<u64>| match bytes {
            Some(bytes) => format!("{} MiB", bytes >> 20),
            None => "an unknown amount".to_owned(),
        };
        let (free, available, total) = (mib(self.free), mib(self.available), mib(self.total));
        write!(f, "{free} free and {available} available of {total}")
    }
}
