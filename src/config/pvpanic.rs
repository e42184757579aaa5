use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BadValue;

/// Whether and where the guest has a device to say that its kernel panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PvPanic {
    /// A port that ACPI names: it costs the guest next to nothing.
    #[default]
    Isa,
    /// A slot of the PCI bus.
    Pci,
    /// There is no such device.
    Off,
}

impl FromStr for PvPanic {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "isa" => Ok(Self::Isa),
            "pci" => Ok(Self::Pci),
            "off" => Ok(Self::Off),
            _ => Err(BadValue::new("a panic device is isa, pci or off")),
        }
    }
}

impl fmt::Display for PvPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Isa => "isa",
            Self::Pci => "pci",
            Self::Off => "off",
        })
    }
}
