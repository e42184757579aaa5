use serde::{Deserialize, Serialize};

use super::text::as_word;

/// Whether the guest has a device for random bytes of the host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rng {
    /// From a virtio entropy device.
    #[default]
    On,
    /// There is no such device.
    Off,
}

as_word!(Rng, "an entropy device is on or off", On = "on", Off = "off");
