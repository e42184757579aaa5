use std::num::NonZeroU16;

use devices::backend::fs::Share;
use devices::virtio::fs::{Fs, FsOptions, Tag};

use crate::config::VmConfig;
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// The most queues for requests, one for each processor up to that many.
const MAX_QUEUES: u16 = 4;

/// One virtio file system device for each share, in order. The threads of the
/// first are `fs0q0` and so on.
pub(in crate::machine) fn shares(
    platform: &mut Platform,
    config: &VmConfig,
    opened: Vec<Share>,
) -> Result<(), RunError> {
    let queues = u16::from(config.cpus.get()).min(MAX_QUEUES);
    let queues = NonZeroU16::new(queues).expect("a machine has a processor");
    for (index, (share, directory)) in config.all_shares().iter().zip(opened).enumerate() {
        let tag = Tag::new(share.tag.as_str()).expect("a tag of the configuration is one");
        let options = FsOptions { tag, queues };
        let device = Fs::new(directory, &options, &format!("fs{index}"), &platform.requests)
            .map_err(host("make a file system device"))?;
        platform.add_virtio(Box::new(device))?;
    }
    Ok(())
}
