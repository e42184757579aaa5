/// Where and in which state the boot processor enters the kernel.
///
/// A loader returns it; [`super::regs`] turns it into register values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    /// Long mode with identity paging, RSI pointing at `boot_params`
    /// (Linux x86 boot protocol, "64-bit Boot Protocol").
    Linux64 {
        /// Address of the first instruction.
        rip: u64,
        /// Guest-physical address of `boot_params`.
        boot_params: u64,
    },
    /// 32-bit protected mode without paging, EBX pointing at
    /// `hvm_start_info` (Xen PVH boot ABI).
    Pvh {
        /// Address of the first instruction.
        rip: u64,
        /// Guest-physical address of `hvm_start_info`.
        start_info: u64,
    },
    /// 32-bit protected mode without paging, EAX = 0x2badb002 and EBX
    /// pointing at the information structure (Multiboot 0.6.96 §3.2).
    Multiboot {
        /// Address of the first instruction.
        rip: u64,
        /// Guest-physical address of the information structure.
        info: u64,
    },
}
