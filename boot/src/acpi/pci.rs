//! PCI: where configuration space is, and what the host bridge leads to.

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, Device, EISAName, IO, Memory32Fixed, Name, Package,
    PackageBuilder, Path, ResourceTemplate,
};
use acpi_tables::mcfg::MCFG;
use vmm_core::bus::AddrRange;

use super::PciHost;
use super::tables::{AcpiError, OEM_ID, OEM_REVISION, OEM_TABLE_ID};

/// The one segment and the one bus.
const SEGMENT: u16 = 0;
const BUS: u8 = 0;
/// Ports of configuration mechanism #1.
const CONFIG_PORTS: u8 = 8;
/// In the address of a `_PRT` entry: any function of the slot.
const ANY_FUNCTION: u32 = 0xffff;
/// Pin of a `_PRT` entry: functions that are alone in their slot use INTA#
/// only.
const INTA: u8 = 0;
/// Source of a `_PRT` entry: the next field is an input of the I/O APIC.
const HARDWIRED: u8 = 0;

/// The MCFG table (PCI Firmware 3.0 §4.1.2).
pub(super) fn mcfg(host: &PciHost) -> MCFG {
    let mut mcfg = MCFG::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    mcfg.add_ecam(host.ecam.base(), SEGMENT, BUS, BUS);
    mcfg
}

/// The host bridge, "PNP0A08", and the reservation of its ECAM, without which
/// systems do not trust the MCFG (PCI Firmware 3.0 §4.1.2, note 2).
pub(super) fn devices(host: &PciHost, devices: &mut Vec<u8>) -> Result<(), AcpiError> {
    let (first, last) = bounds::<u32>(host.memory)?;
    let (first_port, last_port) = bounds::<u16>(host.ports)?;
    let uncached = AddressSpaceCacheable::NotCacheable;
    let resources: [&dyn Aml; 4] = [
        &AddressSpace::new_bus_number(u16::from(BUS), u16::from(BUS)),
        &IO::new(host.config_ports, host.config_ports, 1, CONFIG_PORTS),
        &AddressSpace::new_io(first_port, last_port, None),
        &AddressSpace::new_memory(uncached, true, first, last, None),
    ];
    Device::new(
        Path::new("PCI0"),
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0A08")),
            &Name::new(Path::new("_CID"), &EISAName::new("PNP0A03")),
            &Name::new(Path::new("_UID"), &0_u8),
            &Name::new(Path::new("_SEG"), &SEGMENT),
            &Name::new(Path::new("_BBN"), &BUS),
            &Name::new(Path::new("_CRS"), &ResourceTemplate::new(resources.to_vec())),
            &Name::new(Path::new("_PRT"), &routing(host)),
        ],
    )
    .to_aml_bytes(devices);

    let (first, last) = bounds::<u32>(host.ecam)?;
    let ecam = Memory32Fixed::new(true, first, last - first + 1);
    Device::new(
        Path::new("MRES"),
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0C02")),
            &Name::new(Path::new("_UID"), &0_u8),
            &Name::new(Path::new("_CRS"), &ResourceTemplate::new(vec![&ecam])),
        ],
    )
    .to_aml_bytes(devices);
    Ok(())
}

/// `_PRT` (ACPI 6.5 §6.2.13): the interrupt of each slot. Guests evaluate all
/// of it for every device, so it says no more than it must.
fn routing(host: &PciHost) -> PackageBuilder {
    let mut routing = PackageBuilder::new();
    for interrupt in &host.interrupts {
        let address = u32::from(interrupt.slot) << 16 | ANY_FUNCTION;
        let entry: [&dyn Aml; 4] = [&address, &INTA, &HARDWIRED, &interrupt.gsi];
        routing.add_element(&Package::new(entry.to_vec()));
    }
    routing
}

/// The first and the last of some addresses below 4 GiB, or ports below 64 Ki.
fn bounds<T: TryFrom<u64>>(range: AddrRange) -> Result<(T, T), AcpiError> {
    let outside = |_| AcpiError::Window { what: "PCI host bridge", base: range.base() };
    let last = T::try_from(range.last()).map_err(outside)?;
    Ok((T::try_from(range.base()).map_err(outside)?, last))
}
