//! The local APIC's state that firmware would have left.

use kvm_bindings::kvm_lapic_state;

/// Local vector table offsets (Intel SDM 3A §11.5.1).
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
/// Delivery modes, bits 8 to 10.
const MODE_NMI: u32 = 4 << 8;
const MODE_EXT_INT: u32 = 7 << 8;

/// Routes the 8259 to LINT0 and NMIs to LINT1, as a BIOS does: kernels that
/// use the 8259 get its interrupts, and Linux finds what it expects.
pub fn connect_pins(lapic: &mut kvm_lapic_state) {
    for (offset, value) in [(LVT_LINT0, MODE_EXT_INT), (LVT_LINT1, MODE_NMI)] {
        for (byte, new) in lapic.regs[offset..offset + 4].iter_mut().zip(value.to_le_bytes()) {
            // `c_char` is signed here; the register is bytes.
            *byte = i8::from_le_bytes([new]);
        }
    }
}
