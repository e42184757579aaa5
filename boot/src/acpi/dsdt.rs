//! DSDT: the devices that cannot be found by probing (ACPI 6.5 §5.2.11.1).

use acpi_tables::aml::{
    Device, EISAName, IO, Interrupt, Memory32Fixed, Name, Package, Path, ResourceTemplate, Scope,
};
use acpi_tables::{Aml, sdt::Sdt};

use super::fadt::S5_SLEEP_TYPE;
use super::pci;
use super::tables::{self, AcpiError};
use super::{AcpiDescription, SerialPort, VirtioMmio};

/// From this revision on, AML integers have 64 bits.
const REVISION: u8 = 2;
/// Ports of a 16550.
const SERIAL_PORTS: u8 = 8;

/// The table: `\_S5` for power-off, and a device for each that is there.
pub(super) fn table(description: &AcpiDescription) -> Result<Sdt, AcpiError> {
    let mut devices = Vec::new();
    if let Some(port) = &description.serial {
        serial(port, &mut devices);
    }
    if let Some(port) = description.panic_port {
        pvpanic(port, &mut devices);
    }
    for (index, device) in description.virtio_mmio.iter().enumerate() {
        virtio_mmio(index, device, &mut devices)?;
    }
    if let Some(host) = &description.pci {
        pci::devices(host, &mut devices)?;
    }
    let mut aml = Scope::raw(Path::new("_SB_"), devices);
    let s5: [&dyn Aml; 4] = [&S5_SLEEP_TYPE, &0_u8, &0_u8, &0_u8];
    Name::new(Path::new("_S5_"), &Package::new(s5.to_vec())).to_aml_bytes(&mut aml);

    let mut dsdt = tables::table(*b"DSDT", REVISION);
    dsdt.append_slice(&aml);
    Ok(dsdt)
}

/// "PNP0501", a 16550A-compatible port.
fn serial(port: &SerialPort, devices: &mut Vec<u8>) {
    let ports = IO::new(port.port, port.port, 1, SERIAL_PORTS);
    let interrupt = edge(port.gsi);
    let resources = ResourceTemplate::new(vec![&ports, &interrupt]);
    Device::new(
        Path::new("COM1"),
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0501")),
            &Name::new(Path::new("_UID"), &0_u8),
            &Name::new(Path::new("_CRS"), &resources),
        ],
    )
    .to_aml_bytes(devices);
}

/// "QEMU0001", one port through which a kernel says that it panics.
fn pvpanic(port: u16, devices: &mut Vec<u8>) {
    let ports = IO::new(port, port, 1, 1);
    let resources = ResourceTemplate::new(vec![&ports]);
    Device::new(
        Path::new("PEVT"),
        vec![&Name::new(Path::new("_HID"), &"QEMU0001"), &Name::new(Path::new("_CRS"), &resources)],
    )
    .to_aml_bytes(devices);
}

/// "LNRO0005", by which Linux knows virtio behind MMIO.
fn virtio_mmio(index: usize, device: &VirtioMmio, devices: &mut Vec<u8>) -> Result<(), AcpiError> {
    let window = device.window;
    let outside = |_| AcpiError::Window { what: "virtio device", base: window.base() };
    u32::try_from(window.last()).map_err(outside)?;
    let base = u32::try_from(window.base()).map_err(outside)?;
    let size = u32::try_from(window.len()).map_err(outside)?;

    let registers = Memory32Fixed::new(true, base, size);
    let interrupt = edge(device.gsi);
    let resources = ResourceTemplate::new(vec![&registers, &interrupt]);
    Device::new(
        Path::new(&format!("V{index:03X}")),
        vec![
            &Name::new(Path::new("_HID"), &"LNRO0005"),
            &Name::new(Path::new("_UID"), &index),
            &Name::new(Path::new("_CRS"), &resources),
        ],
    )
    .to_aml_bytes(devices);
    Ok(())
}

/// A rising edge on an input of the I/O APIC, ours alone.
fn edge(gsi: u32) -> Interrupt {
    let (consumer, edge_triggered, active_low, shared) = (true, true, false, false);
    Interrupt::new(consumer, edge_triggered, active_low, shared, gsi)
}
