use serde::{Deserialize, Serialize};

use super::text::as_word;

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

as_word!(Transport, "a transport is pci or mmio", Mmio = "mmio", Pci = "pci");
