//! What an image's host asks and offers.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use vmm_core::sys;

use super::direct;
use crate::backend::disk::{CacheMode, DiskError, Geometry, OpenOptions};
use crate::virtio::spec::blk::SECTOR_SIZE;

/// The largest block that a guest is told of.
const LARGEST_BLOCK: u32 = 4096;

/// What is found out once about an image.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) geometry: Geometry,
    /// The block size of a device; a file has none.
    pub(super) device_block: Option<u32>,
    /// What the size is a multiple of.
    pub(super) unit: u64,
}

/// Looks at an open image.
///
/// # Errors
/// [`DiskError`], also if it cannot be used as `options` ask.
pub(super) fn find(path: &Path, file: &File, options: OpenOptions) -> Result<Limits, DiskError> {
    let host = |what| move |source| DiskError::Host { path: path.to_owned(), what, source };
    let size = super::length(file).map_err(host("find the size of"))?;
    if size == 0 {
        return Err(DiskError::Empty { path: path.to_owned() });
    }
    let metadata = file.metadata().map_err(host("look at"))?;
    let blocks = blocks(file, &metadata).map_err(host("find the block size of"))?;
    if blocks.logical > LARGEST_BLOCK {
        return Err(DiskError::Sectors { path: path.to_owned(), size: blocks.logical });
    }
    let memory_align = if options.cache == CacheMode::Direct {
        let align = direct::alignment(file).map_err(host("find the alignment of"))?;
        align.ok_or_else(|| DiskError::NoDirect { path: path.to_owned() })?
    } else {
        1
    };
    let unit = SECTOR_SIZE.max(memory_align.into());
    if !size.is_multiple_of(unit) {
        return Err(DiskError::Ragged { path: path.to_owned(), size, unit });
    }
    let is_trimmed = options.sparse && !options.read_only;
    let geometry = Geometry {
        size,
        // A partitioned image keeps its meaning under each cache mode.
        block_size: blocks.logical,
        physical_block_size: blocks.physical.max(memory_align),
        memory_align,
        discard_granularity: if is_trimmed { blocks.discard } else { 0 },
    };
    let device_block = metadata.file_type().is_block_device().then_some(blocks.logical);
    Ok(Limits { geometry, device_block, unit })
}

struct Blocks {
    logical: u32,
    physical: u32,
    discard: u32,
}

fn blocks(file: &File, metadata: &Metadata) -> io::Result<Blocks> {
    if metadata.file_type().is_block_device() {
        let logical = sys::logical_block_size(file)?;
        let physical = sys::physical_block_size(file)?.clamp(logical, LARGEST_BLOCK.max(logical));
        return Ok(Blocks { logical, physical, discard: device_discard(metadata.rdev()) });
    }
    // A filesystem's blocks are pages at most; some name a larger wish here.
    let block = u32::try_from(metadata.blksize()).unwrap_or(LARGEST_BLOCK);
    let block = if block.is_power_of_two() { block.clamp(512, LARGEST_BLOCK) } else { 512 };
    Ok(Blocks { logical: 512, physical: block, discard: block })
}

/// The bytes that a block device gives back at once, 0 if it cannot.
fn device_discard(device: u64) -> u32 {
    let node = PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device)));
    // A partition has its disk's queue.
    let queues = [node.join("queue"), node.join("../queue")];
    let texts =
        queues.iter().find_map(|queue| fs::read_to_string(queue.join("discard_granularity")).ok());
    texts.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
