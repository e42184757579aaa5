use super::request::MAX_SEGMENTS;
use crate::backend::disk::Geometry;
use crate::virtio::spec::blk::{self, SECTOR_SIZE};

/// The most sectors that one segment may discard: 1 GiB.
pub(super) const MAX_DISCARD_SECTORS: u32 = 1 << 21;
/// The most sectors that one segment may zero: 128 MiB. Not every host can do
/// that without writing them.
pub(super) const MAX_ZEROES_SECTORS: u32 = 1 << 18;
/// Where `writeback` lies.
pub(super) const WRITEBACK: usize = 32;
/// Bytes up to the fields for secure erase (VIRTIO 1.2 §5.2.4).
const LEN: usize = 60;

/// What the configuration space tells.
pub(super) struct Config {
    /// Bytes on the disk.
    pub capacity: u64,
    pub geometry: Geometry,
    pub queues: u16,
    pub queue_size: u16,
    pub writeback: bool,
}

impl Config {
    /// The configuration space (VIRTIO 1.2 §5.2.4). Fields without their
    /// feature have a value all the same; `geometry` has not, for nothing has
    /// cylinders.
    pub(super) fn bytes(&self) -> [u8; LEN] {
        let (block, physical) = (self.geometry.block_size, self.geometry.physical_block_size);
        // In logical blocks: how many make a physical one, as a power of two,
        // and the least that is good to transfer.
        let ratio = (physical / block.max(1)).max(1);
        let exponent = ratio.ilog2().to_le_bytes()[0];
        let least = u16::try_from(ratio).unwrap_or(u16::MAX);
        let granularity = u64::from(self.geometry.discard_granularity) / SECTOR_SIZE;
        let granularity = u32::try_from(granularity.max(1)).unwrap_or(u32::MAX);
        let mut bytes = [0; LEN];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &(self.capacity / SECTOR_SIZE).to_le_bytes());
        put(12, &seg_max(self.queue_size).to_le_bytes());
        put(20, &block.to_le_bytes());
        put(24, &[exponent]);
        put(26, &least.to_le_bytes());
        put(WRITEBACK, &[u8::from(self.writeback)]);
        put(34, &self.queues.to_le_bytes());
        put(36, &MAX_DISCARD_SECTORS.to_le_bytes());
        put(40, &MAX_SEGMENTS.to_le_bytes());
        put(44, &granularity.to_le_bytes());
        put(48, &MAX_ZEROES_SECTORS.to_le_bytes());
        put(52, &MAX_SEGMENTS.to_le_bytes());
        put(56, &[u8::from(self.geometry.discard_granularity > 0)]);
        bytes
    }
}

/// Data buffers in one request: header and status take two descriptors of a
/// chain, which has no more than the queue (VIRTIO 1.2 §2.7.5.3.1).
fn seg_max(queue_size: u16) -> u32 {
    u32::from(queue_size.saturating_sub(2).max(1))
}

/// The features of a disk with `geometry`.
pub(super) fn features(geometry: Geometry, read_only: bool) -> u64 {
    let common = blk::F_SEG_MAX | blk::F_BLK_SIZE | blk::F_TOPOLOGY | blk::F_FLUSH | blk::F_MQ;
    let writable = blk::F_CONFIG_WCE | blk::F_WRITE_ZEROES;
    let discard = if geometry.discard_granularity > 0 { blk::F_DISCARD } else { 0 };
    common | if read_only { blk::F_RO } else { writable | discard }
}
