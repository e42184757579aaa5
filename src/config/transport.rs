use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BadValue;

/// How the guest reaches its virtio devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Each at an address that ACPI names, with one interrupt.
    Mmio,
    /// In the slots of a PCI bus, with an interrupt for each queue (MSI-X).
    #[default]
    Pci,
}

impl FromStr for Transport {
    type Err = BadValue;

    fn from_str(name: &str) -> Result<Self, BadValue> {
        match name {
            "mmio" => Ok(Self::Mmio),
            "pci" => Ok(Self::Pci),
            _ => Err(BadValue::new("a transport is pci or mmio")),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mmio => "mmio",
            Self::Pci => "pci",
        })
    }
}
