//! MADT: processors and interrupt controllers (ACPI 6.5 §5.2.12).

use acpi_tables::madt::{
    EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic,
};
use vmm_core::arch::x86_64::layout;

use super::tables::{OEM_ID, OEM_REVISION, OEM_TABLE_ID};

/// Id of the one I/O APIC, as KVM's register has it.
const IO_APIC_ID: u8 = 0;
/// Its input 0 is this interrupt.
const GSI_BASE: u32 = 0;

/// The table. There is no 8259, and so no interrupt overrides either.
pub(super) fn table(cpus: u8) -> MADT {
    let local = LocalInterruptController::Address(low(layout::LOCAL_APIC));
    let mut madt = MADT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION, local);
    for id in 0..cpus {
        madt.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(IO_APIC_ID, low(layout::IO_APIC), GSI_BASE));
    madt
}

fn low(address: u64) -> u32 {
    u32::try_from(address).expect("interrupt controllers lie below 4 GiB")
}
