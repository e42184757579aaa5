use vmm_core::bus::AddrRange;

/// The machine, as far as its ACPI tables tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcpiDescription {
    /// Number of vCPUs, 1..=254. vCPU N has local APIC id N.
    pub cpus: u8,
    /// The first serial port, if there is one.
    pub serial: Option<SerialPort>,
    /// Virtio devices behind MMIO, in the order that the guest finds them.
    pub virtio_mmio: Vec<VirtioMmio>,
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
