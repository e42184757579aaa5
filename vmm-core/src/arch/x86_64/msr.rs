//! Model-specific registers that firmware would have set.

use kvm_bindings::kvm_msr_entry;

/// IA32_MISC_ENABLE (Intel SDM 4 §2.1): fast string operations.
const MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRING: u64 = 1;
/// IA32_MTRR_DEF_TYPE (Intel SDM 3A §12.11.2.1): enabled, write-back.
const MTRR_DEF_TYPE: u32 = 0x2ff;
const MTRR_ENABLED_WRITE_BACK: u64 = 1 << 11 | 6;

/// What every vCPU starts with, beside KVM's own reset values.
pub fn boot_values() -> [kvm_msr_entry; 2] {
    let entry = |index, data| kvm_msr_entry { index, data, ..Default::default() };
    [entry(MISC_ENABLE, MISC_ENABLE_FAST_STRING), entry(MTRR_DEF_TYPE, MTRR_ENABLED_WRITE_BACK)]
}
