/// Why a vCPU left the guest.
#[derive(Debug)]
pub enum Exit<'a> {
    /// The guest reads a port: fill `data`, elements of `size` bytes each
    /// (1, 2 or 4; several for a string instruction).
    PortIn {
        /// The port.
        port: u16,
        /// Bytes an element.
        size: usize,
        /// All elements.
        data: &'a mut [u8],
    },
    /// The guest writes a port: take `data`, elements of `size` bytes each.
    PortOut {
        /// The port.
        port: u16,
        /// Bytes an element.
        size: usize,
        /// All elements.
        data: &'a [u8],
    },
    /// The guest reads an address without memory: fill `data`, 1 to 8 bytes.
    MmioRead {
        /// Guest-physical address.
        addr: u64,
        /// The bytes read.
        data: &'a mut [u8],
    },
    /// The guest writes an address without memory.
    MmioWrite {
        /// Guest-physical address.
        addr: u64,
        /// The bytes written.
        data: &'a [u8],
    },
    /// A signal or [`super::ImmediateExit`]: look whether something is asked.
    Interrupted,
    /// The vCPU shut down: a triple fault.
    Shutdown,
    /// The guest asked for power off through KVM.
    PowerOff,
    /// The guest asked for a reset through KVM.
    Reset,
    /// The vCPU cannot go on.
    Failed(Failure),
}

/// Why KVM cannot run a vCPU any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// KVM_EXIT_FAIL_ENTRY: the processor refuses the guest state.
    #[error("the processor refuses to enter the guest (hardware reason {reason:#x})")]
    Entry {
        /// The hardware's reason.
        reason: u64,
    },
    /// KVM_EXIT_INTERNAL_ERROR with KVM_INTERNAL_ERROR_EMULATION.
    #[error("KVM cannot emulate an instruction of the guest{}", bytes(.instruction))]
    Emulation {
        /// The instruction's bytes, if KVM gives them.
        instruction: Vec<u8>,
    },
    /// KVM_EXIT_INTERNAL_ERROR of another kind.
    #[error("KVM reports an internal error (kind {suberror})")]
    Internal {
        /// KVM_INTERNAL_ERROR_*.
        suberror: u32,
    },
    /// KVM_EXIT_MEMORY_FAULT, or `EFAULT`: the host cannot give a page.
    #[error("the host cannot give the guest a page of its memory")]
    Memory,
    /// An exit that this machine never asked for.
    #[error("KVM stops for a reason unknown to Kiln ({0})")]
    Unknown(String),
}

fn bytes(instruction: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (i, byte) in instruction.iter().enumerate() {
        let _ = write!(text, "{}{byte:02x}", if i == 0 { ": " } else { " " });
    }
    text
}
