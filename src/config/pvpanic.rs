use serde::{Deserialize, Serialize};

use super::text::as_word;

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

as_word!(PvPanic, "a panic device is isa, pci or off", Isa = "isa", Pci = "pci", Off = "off");
