use devices::virtio::rng::{RATE, Rng};

use crate::config::{self, VmConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// The entropy device, unless it is not wanted.
pub(in crate::machine) fn rng(platform: &mut Platform, config: &VmConfig) -> Result<(), RunError> {
    match config.rng {
        config::Rng::Off => Ok(()),
        config::Rng::On => {
            let device = Rng::new(RATE).map_err(host("make an entropy device"))?;
            platform.add_virtio(Box::new(device))
        }
    }
}
