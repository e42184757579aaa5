use vmm_core::bus::AddrRange;

/// The machine, as far as its ACPI tables tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcpiDescription {
    /// Number of vCPUs, 1..=254. vCPU N has local APIC id N.
    pub cpus: u8,
    /// The first serial port, if there is one.
    pub serial: Option<SerialPort>,
    /// The port of pvpanic, if there is one.
    pub panic_port: Option<u16>,
    /// Virtio devices behind MMIO, in the order that the guest finds them.
    pub virtio_mmio: Vec<VirtioMmio>,
    /// The PCI host bridge, if there is one.
    pub pci: Option<PciHost>,
}

/// A PCI host bridge with bus 0 of segment 0 and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciHost {
    /// Its configuration space in memory (ECAM), 1 MiB below 4 GiB.
    pub ecam: AddrRange,
    /// What it leads to its devices, below 4 GiB.
    pub memory: AddrRange,
    /// The ports that it leads to them, below 64 Ki.
    pub ports: AddrRange,
    /// First of the eight ports of its configuration space.
    pub config_ports: u16,
    /// The pins of its slots, at most 255.
    pub interrupts: Vec<PciInterrupt>,
}

/// Where the INTA# of a PCI slot leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciInterrupt {
    /// The slot, 0 to 31.
    pub slot: u8,
    /// Its interrupt: a low level on this I/O APIC input, perhaps shared.
    pub gsi: u32,
}

/// A 16550 serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialPort {
    /// First of its eight ports.
    pub port: u16,
    /// Its interrupt: an edge on this I/O APIC input.
    pub gsi: u32,
}

/// A virtio device behind MMIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioMmio {
    /// Its registers, below 4 GiB.
    pub window: AddrRange,
    /// Its interrupt: an edge on this I/O APIC input.
    pub gsi: u32,
}
