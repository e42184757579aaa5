//! FADT: the fixed hardware, most of which is absent (ACPI 6.5 §5.2.9).

use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use vmm_core::arch::x86_64::layout;

use super::tables::{OEM_ID, OEM_REVISION, OEM_TABLE_ID};

/// What a guest writes to the reset register, a byte at
/// [`layout::RESET_CONTROL`].
pub const RESET_VALUE: u8 = 0x06;
/// What a guest writes to the sleep control register, a byte at
/// [`layout::ACPI_SLEEP`], to power the machine off: sleep type 5 and the
/// enable bit (ACPI 6.5 §4.8.3.7). The status register is the byte after it.
pub const POWER_OFF: u8 = S5_SLEEP_TYPE << 2 | 1 << 5;
/// The sleep type that the DSDT's `\_S5` names.
pub(super) const S5_SLEEP_TYPE: u8 = layout::ACPI_S5_SLEEP_TYPE;

/// Boot architecture flags (ACPI 6.5 §5.2.9.3). Legacy devices and the 8042
/// are not claimed, so nobody waits for a keyboard to answer.
const NO_VGA: u16 = 1 << 2;
const NO_CMOS_RTC: u16 = 1 << 5;

/// The table; `dsdt` is the DSDT's guest-physical address.
pub(super) fn table(dsdt: u64) -> FADT {
    let mut fadt = FADTBuilder::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::Wbinvd)
        .flag(Flags::PwrButton) // No fixed power button, nor
        .flag(Flags::SlpButton) // a sleep button: set means absent.
        .flag(Flags::ResetRegSup)
        .flag(Flags::Headless)
        .flag(Flags::HwReducedAcpi);
    fadt.iapc_boot_arch = (NO_VGA | NO_CMOS_RTC).into();
    fadt.reset_reg = port(layout::RESET_CONTROL);
    fadt.reset_value = RESET_VALUE;
    fadt.sleep_control_reg = port(layout::ACPI_SLEEP);
    fadt.sleep_status_reg = port(layout::ACPI_SLEEP + 1);
    fadt.finalize()
}

/// A register of one byte in port space.
fn port(address: u64) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, address)
}
