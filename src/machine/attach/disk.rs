use std::num::{NonZeroU16, NonZeroU64};
use std::sync::Arc;

use devices::backend::disk::DiskImage;
use devices::virtio::blk::{Blk, DiskOptions, Resizer};
use devices::virtio::rate::Limits;

use crate::config::{DiskConfig, VmConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// One virtio block device for each disk, in order: /dev/vda, /dev/vdb, ...
/// The threads of the first are `blk0q0` and so on. Returns what has each look
/// at its image again.
pub(in crate::machine) fn disks(
    platform: &mut Platform,
    config: &VmConfig,
    opened: Vec<Arc<dyn DiskImage>>,
) -> Result<Vec<Resizer>, RunError> {
    let mut resizers = Vec::with_capacity(opened.len());
    for (index, (disk, image)) in config.disks.iter().zip(opened).enumerate() {
        let options = options(disk, config, index);
        let device = Blk::new(image, &options, &format!("blk{index}"), &platform.requests)
            .map_err(host("make a disk"))?;
        resizers.push(device.resizer());
        platform.add_virtio(Box::new(device))?;
    }
    Ok(resizers)
}

fn options(disk: &DiskConfig, config: &VmConfig, index: usize) -> DiskOptions {
    DiskOptions {
        id: disk.id.as_ref().map(ToString::to_string),
        serial: disk.serial().map_or_else(|| format!("disk{index}"), ToString::to_string),
        queues: NonZeroU16::new(disk.queues(config.cpus)).unwrap_or(NonZeroU16::MIN),
        queue_size: disk.queue_size.get(),
        limits: Limits {
            operations: disk.iops.and_then(|iops| NonZeroU64::new(iops.get().into())),
            bytes: disk.bandwidth.and_then(|bandwidth| NonZeroU64::new(bandwidth.bytes())),
        },
    }
}
