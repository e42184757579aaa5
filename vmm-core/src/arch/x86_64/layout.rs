//! Every address of the machine, on one page.
//!
//! ```text
//! guest-physical memory                        ports
//! 0000_0000  RAM                               0060, 0064  i8042 (reset only)
//!   0000_0500    GDT                           0070..0072  CMOS clock
//!   0000_6000    PVH start info, modules       00f4..00f8  isa-debug-exit
//!   0000_7000    zero page, then setup_data    03f8..0400  serial port COM1
//!   0000_9000    page tables (3 or 6 pages)    0600..0602  ACPI sleep registers
//!   0002_0000    kernel command line           0505        pvpanic
//!                                              0cf9        reset control
//!   0009_fc00  end of low memory, EBDA           0cf8..0d00  PCI configuration, around it
//!   000e_0000    ACPI tables, RSDP first       c000..d000  PCI ports
//!   0010_0000    high memory: kernel; initrd at the top of low RAM
//! c000_0000  end of low RAM, MMIO from here
//!   d000_0000    virtio-mmio windows, 4 KiB each
//!   e000_0000    PCI configuration space (ECAM) of bus 0, 1 MiB
//!   e800_0000    PCI memory windows, 128 MiB
//!   fec0_0000    I/O APIC
//!   fee0_0000    local APICs
//!   fffb_c000    identity map page and TSS that KVM needs on Intel
//! 1_0000_0000  high RAM
//! ```

/// A page, and the granule of every mapping: 4 KiB.
pub const PAGE_SIZE: u64 = 0x1000;

/// Global descriptor table for the entry state.
pub const GDT: u64 = 0x500;
/// `hvm_start_info` of the PVH protocol, then its memory map and module list.
pub const PVH_START_INFO: u64 = 0x6000;
/// Linux `boot_params`, one page.
pub const ZERO_PAGE: u64 = 0x7000;
/// `setup_data` of Linux, one page.
pub const SETUP_DATA: u64 = 0x8000;
/// Identity page tables for 64-bit entries: PML4, PDPT and four PDs.
pub const PAGE_TABLES: u64 = 0x9000;
/// Multiboot information structure, its memory map and module list.
pub const MULTIBOOT_INFO: u64 = 0x1_0000;
/// Kernel command line, NUL-terminated.
pub const CMDLINE: u64 = 0x2_0000;
/// Room for the command line with its NUL: 64 KiB.
pub const CMDLINE_CAPACITY: u64 = 0x1_0000;
/// End of usable memory below 640 KiB: the extended BIOS data area starts here.
pub const EBDA: u64 = 0x9_fc00;
/// ACPI tables, where a BIOS would have them; the RSDP comes first.
pub const ACPI: u64 = 0xe_0000;
/// Room for the ACPI tables: 128 KiB, up to 1 MiB.
pub const ACPI_CAPACITY: u64 = 0x2_0000;
/// Memory from 1 MiB: where kernels load.
pub const HIGH_MEMORY: u64 = 0x10_0000;

/// End of RAM below 4 GiB and start of the MMIO gap.
pub const LOW_RAM_END: u64 = 0xc000_0000;
/// First virtio-mmio window.
pub const VIRTIO_MMIO: u64 = 0xd000_0000;
/// Size of each virtio-mmio window.
pub const VIRTIO_MMIO_SIZE: u64 = 0x1000;
/// Configuration space of PCI bus 0 (ECAM).
pub const PCI_ECAM: u64 = 0xe000_0000;
/// Size of that: 4 KiB for each of 8 functions of 32 slots.
pub const PCI_ECAM_SIZE: u64 = 0x10_0000;
/// Addresses for the memory windows of PCI devices.
pub const PCI_MEMORY: u64 = 0xe800_0000;
/// How many: 128 MiB.
pub const PCI_MEMORY_SIZE: u64 = 0x800_0000;
/// I/O APIC registers.
pub const IO_APIC: u64 = 0xfec0_0000;
/// Local APIC registers.
pub const LOCAL_APIC: u64 = 0xfee0_0000;
/// A page that KVM needs on Intel processors without unrestricted guest mode.
pub const KVM_IDENTITY_MAP: u64 = 0xfffb_c000;
/// Three pages for KVM's real-mode task state segment.
pub const KVM_TSS: u64 = 0xfffb_d000;
/// Start of RAM above 4 GiB.
pub const HIGH_RAM: u64 = 0x1_0000_0000;

/// i8042 data port.
pub const I8042_DATA: u64 = 0x60;
/// i8042 command and status port.
pub const I8042_COMMAND: u64 = 0x64;
/// CMOS index port; the data port follows it.
pub const CMOS: u64 = 0x70;
/// isa-debug-exit: a byte written here ends the run with that status.
pub const DEBUG_EXIT: u64 = 0xf4;
/// First serial port, eight registers.
pub const SERIAL: u64 = 0x3f8;
/// pvpanic, where QEMU has it.
pub const PVPANIC: u64 = 0x505;
/// ACPI sleep control register; the status register follows it.
pub const ACPI_SLEEP: u64 = 0x600;
/// Sleep type that means soft off (S5) there: the value of `\_S5` in ACPI.
pub const ACPI_S5_SLEEP_TYPE: u8 = 5;
/// PCI configuration address register; the data register follows it.
pub const PCI_CONFIG: u64 = 0xcf8;
/// Ports for the windows of PCI devices.
pub const PCI_PORTS: u64 = 0xc000;
/// How many: 4 Ki.
pub const PCI_PORTS_SIZE: u64 = 0x1000;
/// Reset control register of PC chipsets.
pub const RESET_CONTROL: u64 = 0xcf9;

/// Interrupt of the first serial port.
pub const SERIAL_GSI: u32 = 4;
/// First interrupt for virtio devices.
pub const VIRTIO_GSI_FIRST: u32 = 5;
/// Last interrupt for virtio devices: the I/O APIC has 24 inputs.
pub const VIRTIO_GSI_LAST: u32 = 23;
/// First interrupt for the pins of PCI slots, level-triggered.
pub const PCI_GSI_FIRST: u32 = 16;
/// How many of them there are: slots beyond it share them in turn.
pub const PCI_GSI_COUNT: u32 = 8;
