use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, sdt::Sdt};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};
use vmm_core::arch::x86_64::layout;
use vmm_core::mem::GuestRam;

use super::{AcpiDescription, dsdt, fadt, madt, pci};
use crate::size::Size;

pub(super) const OEM_ID: [u8; 6] = *b"KILN  ";
pub(super) const OEM_TABLE_ID: [u8; 8] = *b"KILNVM  ";
pub(super) const OEM_REVISION: u32 = 1;
/// Length of the header that every table but the RSDP starts with.
const HEADER: u32 = 36;
/// Tables start at multiples of this, as the RSDP must (ACPI 6.5 §5.2.5.1).
const ALIGNMENT: usize = 16;
/// Room that most machines' tables fit into, taken at once.
const TYPICAL: usize = 2048;

/// Why a guest cannot be given its ACPI tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcpiError {
    /// Nobody can have that many devices: more than fit below 1 MiB.
    #[error("the ACPI tables take {}, there is room for {}", Size(*size), Size(*room))]
    TooBig {
        /// Bytes they take.
        size: u64,
        /// Bytes there are.
        room: u64,
    },
    /// A device has registers where no descriptor can point.
    #[error("the {what} at {base:#x} lies above 4 GiB, out of reach of its ACPI descriptor")]
    Window {
        /// What the device is.
        what: &'static str,
        /// First address of the window.
        base: u64,
    },
    /// The guest's memory ends before 1 MiB.
    #[error("the guest has too little memory for its ACPI tables")]
    Memory(#[from] GuestMemoryError),
}

/// Writes the tables that describe the machine; returns the address of the
/// RSDP, for [`crate::load`].
///
/// # Errors
/// [`AcpiError`] if they do not fit.
pub fn write(ram: &GuestRam, description: &AcpiDescription) -> Result<GuestAddress, AcpiError> {
    let bytes = build(description)?;
    let size = u64::try_from(bytes.len()).expect("a length has at most 64 bits");
    if size > layout::ACPI_CAPACITY {
        return Err(AcpiError::TooBig { size, room: layout::ACPI_CAPACITY });
    }
    ram.write_slice(&bytes, GuestAddress(layout::ACPI))?;
    Ok(GuestAddress(layout::ACPI))
}

/// All tables as they lie in memory from [`layout::ACPI`].
pub(super) fn build(description: &AcpiDescription) -> Result<Vec<u8>, AcpiError> {
    let mut tables = Tables::new();
    let dsdt = tables.push(&dsdt::table(description)?);
    let fadt = tables.push(&fadt::table(dsdt));
    let madt = tables.push(&madt::table(description.cpus));
    let mcfg = description.pci.as_ref().map(|host| tables.push(&pci::mcfg(host)));
    let mut xsdt = XSDT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    for table in [fadt, madt].into_iter().chain(mcfg) {
        xsdt.add_entry(table);
    }
    let xsdt = tables.push(&xsdt);
    Ok(tables.finish(&Rsdp::new(OEM_ID, xsdt)))
}

/// An empty table to append to.
pub(super) fn table(signature: [u8; 4], revision: u8) -> Sdt {
    Sdt::new(signature, HEADER, revision, OEM_ID, OEM_TABLE_ID, OEM_REVISION)
}

/// Tables one after the other, behind room for the RSDP.
struct Tables(Vec<u8>);

impl Tables {
    fn new() -> Self {
        let mut bytes = Vec::with_capacity(TYPICAL);
        bytes.resize(Rsdp::len(), 0);
        Self(bytes)
    }

    /// Appends a table; returns its guest-physical address.
    fn push(&mut self, table: &dyn Aml) -> u64 {
        let start = self.0.len().next_multiple_of(ALIGNMENT);
        self.0.resize(start, 0);
        table.to_aml_bytes(&mut self.0);
        layout::ACPI + u64::try_from(start).expect("a length has at most 64 bits")
    }

    fn finish(mut self, rsdp: &Rsdp) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Rsdp::len());
        rsdp.to_aml_bytes(&mut bytes);
        self.0[..bytes.len()].copy_from_slice(&bytes);
        self.0
    }
}
