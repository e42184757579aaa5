//! Numbers of PCI Local Bus 3.0 (§6.1, §6.2, appendix H).

/// Offsets in the header of type 0 (§6.1, figure 6-1), in bytes.
pub mod reg {
    /// Vendor id, 2 bytes.
    pub const VENDOR_ID: u16 = 0x00;
    /// Device id, 2 bytes.
    pub const DEVICE_ID: u16 = 0x02;
    /// Command, 2 bytes: bits of [`super::command`].
    pub const COMMAND: u16 = 0x04;
    /// Status, 2 bytes: bits of [`super::status`].
    pub const STATUS: u16 = 0x06;
    /// Revision id, 1 byte.
    pub const REVISION: u16 = 0x08;
    /// Class code, 3 bytes: interface, subclass, base class.
    pub const CLASS: u16 = 0x09;
    /// Cache line size, 1 byte, in units of 4 bytes.
    pub const CACHE_LINE_SIZE: u16 = 0x0c;
    /// Latency timer, 1 byte, in PCI clocks.
    pub const LATENCY_TIMER: u16 = 0x0d;
    /// Header type, 1 byte.
    pub const HEADER_TYPE: u16 = 0x0e;
    /// The first of six base address registers of 4 bytes each.
    pub const BAR0: u16 = 0x10;
    /// Subsystem vendor id, 2 bytes.
    pub const SUBSYSTEM_VENDOR_ID: u16 = 0x2c;
    /// Subsystem id, 2 bytes.
    pub const SUBSYSTEM_ID: u16 = 0x2e;
    /// Offset of the first capability, 1 byte.
    pub const CAPABILITIES: u16 = 0x34;
    /// Interrupt line, 1 byte, for software only.
    pub const INTERRUPT_LINE: u16 = 0x3c;
    /// Interrupt pin, 1 byte: 0 none, 1 INTA#.
    pub const INTERRUPT_PIN: u16 = 0x3d;
    /// First byte after the header.
    pub const HEADER_END: u16 = 0x40;
}

/// Bits of a base address register (§6.2.5.1).
pub mod bar {
    /// The register is for ports.
    pub const IO_SPACE: u32 = 1 << 0;
    /// Those of one for ports that are no address.
    pub const IO_FLAGS: u32 = 0b11;
    /// Those of one for memory that say how wide it is.
    pub const TYPE: u32 = 0b11 << 1;
    /// 64 bits; the next register has the upper half.
    pub const TYPE_64_BIT: u32 = 0b10 << 1;
    /// Reads there have no effects.
    pub const PREFETCHABLE: u32 = 1 << 3;
    /// Those of one for memory that are no address.
    pub const FLAGS: u32 = 0b1111;
}

/// Bits of the command register (§6.2.2).
pub mod command {
    /// I/O space: the function decodes its ports.
    pub const IO: u16 = 1 << 0;
    /// Memory space: the function decodes its memory windows.
    pub const MEMORY: u16 = 1 << 1;
    /// Bus master: the function may access memory, and send messages.
    pub const BUS_MASTER: u16 = 1 << 2;
    /// Parity error response.
    pub const PARITY: u16 = 1 << 6;
    /// SERR# enable.
    pub const SERR: u16 = 1 << 8;
    /// Interrupt disable: INTx# stays deasserted.
    pub const INTX_DISABLE: u16 = 1 << 10;
}

/// Bits of the status register (§6.2.3).
pub mod status {
    /// The function would assert its INTx#, but for the command register.
    pub const INTERRUPT: u16 = 1 << 3;
    /// There is a list of capabilities.
    pub const CAPABILITIES: u16 = 1 << 4;
}

/// Capability ids (appendix H).
pub mod capability {
    /// Vendor specific.
    pub const VENDOR: u8 = 0x09;
    /// MSI-X.
    pub const MSIX: u8 = 0x11;
}

/// Class codes (appendix D), base class first.
pub mod class {
    /// A host bridge.
    pub const HOST_BRIDGE: [u8; 3] = [0x06, 0x00, 0x00];
    /// A mass storage controller of no other kind, as disks of virtio are.
    pub const STORAGE_OTHER: [u8; 3] = [0x01, 0x80, 0x00];
    /// An Ethernet controller.
    pub const ETHERNET: [u8; 3] = [0x02, 0x00, 0x00];
    /// A system peripheral of no other kind.
    pub const SYSTEM_OTHER: [u8; 3] = [0x08, 0x80, 0x00];
    /// A device that fits no other class.
    pub const UNASSIGNED: [u8; 3] = [0xff, 0x00, 0x00];
}
