use devices::backend::disk::RawDisk;
use devices::virtio::blk::Blk;

use crate::config::DiskConfig;
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// One virtio block device for each disk, in order: /dev/vda, /dev/vdb, ...
pub(in crate::machine) fn disks(
    platform: &mut Platform,
    config: &[DiskConfig],
    opened: Vec<RawDisk>,
) -> Result<(), RunError> {
    for (index, (disk, backend)) in config.iter().zip(opened).enumerate() {
        let serial = disk.serial().map_or_else(|| format!("disk{index}"), ToString::to_string);
        let device = Blk::new(Box::new(backend), &serial).map_err(host("make a disk"))?;
        platform.add_virtio(Box::new(device))?;
    }
    Ok(())
}
