use devices::virtio::balloon::{Balloon, BalloonHandle, BalloonOptions};

use crate::config::VmConfig;
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// The balloon, if one was asked for. Returns what works on it while the
/// machine runs.
pub(in crate::machine) fn balloon(
    platform: &mut Platform,
    config: &VmConfig,
) -> Result<Option<BalloonHandle>, RunError> {
    let Some(balloon) = &config.balloon else { return Ok(None) };
    let options = BalloonOptions {
        size: balloon.size.bytes(),
        deflate_on_oom: balloon.deflate_on_oom,
        free_page_reporting: balloon.free_page_reporting,
    };
    let device = Balloon::new(options).map_err(host("make a balloon"))?;
    let handle = device.handle();
    platform.add_virtio(Box::new(device))?;
    Ok(Some(handle))
}
