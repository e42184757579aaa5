use vm_memory::{Bytes, GuestAddress};
use vmm_core::arch::x86_64::layout;
use vmm_core::bus::AddrRange;
use vmm_core::mem::{allocate, plan};

use super::tables::build;
use super::*;

fn machine(cpus: u8, devices: u32) -> AcpiDescription {
    let device = |n: u32| VirtioMmio {
        window: AddrRange::new(layout::VIRTIO_MMIO + u64::from(n) * 0x1000, 0x1000).unwrap(),
        gsi: 5 + n,
    };
    AcpiDescription {
        cpus,
        serial: Some(SerialPort { port: 0x3f8, gsi: 4 }),
        virtio_mmio: (0..devices).map(device).collect(),
        panic_port: Some(0x505),
        pci: None,
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..][..4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..][..8].try_into().unwrap())
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The table at a guest-physical address, whole and with a good checksum.
fn table(tables: &[u8], address: u64) -> &[u8] {
    let bytes = &tables[usize::try_from(address - layout::ACPI).unwrap()..];
    let table = &bytes[..u32_at(bytes, 4) as usize];
    assert_eq!(sum(table), 0, "{}", String::from_utf8_lossy(&table[..4]));
    assert_eq!(&table[10..16], b"KILN  ");
    table
}

/// The FADT, MADT and DSDT of a machine, found as a guest finds them.
fn found(tables: &[u8]) -> [&[u8]; 3] {
    assert_eq!(&tables[..8], b"RSD PTR ");
    assert_eq!((sum(&tables[..20]), sum(&tables[..36])), (0, 0));
    assert_eq!((tables[15], u32_at(tables, 20)), (2, 36));
    let xsdt = table(tables, u64_at(tables, 24));
    assert_eq!(&xsdt[..4], b"XSDT");
    assert!([36 + 2 * 8, 36 + 3 * 8].contains(&xsdt.len()));
    let fadt = table(tables, u64_at(xsdt, 36));
    let madt = table(tables, u64_at(xsdt, 44));
    let dsdt = table(tables, u64_at(fadt, 140));
    assert_eq!((&fadt[..4], &madt[..4], &dsdt[..4]), (&b"FACP"[..], &b"APIC"[..], &b"DSDT"[..]));
    [fadt, madt, dsdt]
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}

#[test]
fn the_tables_are_chained_from_the_rsdp() {
    let ram = allocate(&plan(2 << 20)).unwrap();
    let description = machine(2, 3);
    let rsdp = write(&ram, &description).unwrap();
    assert_eq!(rsdp, GuestAddress(layout::ACPI));
    let built = build(&description).unwrap();
    let mut bytes = vec![0; built.len()];
    ram.read_slice(&mut bytes, rsdp).unwrap();
    assert_eq!(bytes, built);
    found(&bytes);
}

#[test]
fn the_fadt_says_what_is_absent_and_how_the_machine_ends() {
    let tables = build(&machine(1, 0)).unwrap();
    let [fadt, ..] = found(&tables);
    assert_eq!((fadt.len(), fadt[8]), (276, 6));
    // IAPC_BOOT_ARCH: no VGA, no CMOS RTC; neither 8042 nor legacy.
    assert_eq!(fadt[109..111], [0b10_0100, 0]);
    let flags = u32_at(fadt, 112);
    for (bit, what) in [(0, "WBINVD"), (4, "PWR_BUTTON"), (5, "SLP_BUTTON")] {
        assert_ne!(flags & 1 << bit, 0, "{what}");
    }
    for (bit, what) in [(10, "RESET_REG_SUP"), (12, "HEADLESS"), (20, "HW_REDUCED_ACPI")] {
        assert_ne!(flags & 1 << bit, 0, "{what}");
    }
    let port = |offset: usize| {
        assert_eq!(fadt[offset..][..4], [1, 8, 0, 1], "one byte in port space");
        u64_at(fadt, offset + 4)
    };
    assert_eq!((port(116), fadt[128]), (layout::RESET_CONTROL, RESET_VALUE));
    assert_eq!(port(244), layout::ACPI_SLEEP);
    assert_eq!(port(256), layout::ACPI_SLEEP + 1);
    assert_eq!(POWER_OFF, 0x34);
}

#[test]
fn the_madt_has_every_processor_and_the_io_apic() {
    for cpus in [1, 2, 254] {
        let tables = build(&machine(cpus, 0)).unwrap();
        let [_, madt, _] = found(&tables);
        assert_eq!(u32_at(madt, 36), 0xfee0_0000);
        assert_eq!(u32_at(madt, 40), 0, "no 8259");
        let entries = &madt[44..];
        assert_eq!(entries.len(), usize::from(cpus) * 8 + 12);
        for (id, entry) in (0..cpus).zip(entries.chunks(8)) {
            assert_eq!(entry, [0, 8, id, id, 1, 0, 0, 0]);
        }
        let io_apic = &entries[usize::from(cpus) * 8..];
        assert_eq!(io_apic, [1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    }
}

#[test]
fn the_dsdt_has_each_device_once() {
    let tables = build(&machine(1, 19)).unwrap();
    let [.., dsdt] = found(&tables);
    assert_eq!(dsdt[8], 2);
    // Name (_S5, Package () {5, 0, 0, 0})
    assert_eq!(count(dsdt, b"\x08_S5_\x12\x07\x04\x0a\x05\0\0\0"), 1);
    assert_eq!(count(dsdt, b"COM1\x08_HID\x0c\x41\xd0\x05\x01"), 1);
    // IO (Decode16, 0x3f8, 0x3f8, 1, 8), Interrupt (ResourceConsumer, Edge, ActiveHigh) {4}
    assert_eq!(count(dsdt, b"\x47\x01\xf8\x03\xf8\x03\x01\x08\x89\x06\0\x03\x01\x04\0\0\0"), 1);
    // IO (Decode16, 0x505, 0x505, 1, 1)
    assert_eq!(count(dsdt, b"PEVT\x08_HID\x0dQEMU0001\0"), 1);
    assert_eq!(count(dsdt, b"\x47\x01\x05\x05\x05\x05\x01\x01"), 1);
    assert_eq!(count(dsdt, b"LNRO0005\0"), 19);
    for n in 0..19_u8 {
        let name = format!("V{n:03X}");
        assert_eq!(count(dsdt, name.as_bytes()), 1, "{name}");
        let mut resources =
            b"\x86\x09\0\x01\0\0\0\xd0\0\x10\0\0\x89\x06\0\x03\x01\0\0\0\0".to_vec();
        resources[5] = n << 4;
        resources[6] = n >> 4;
        resources[17] = 5 + n;
        assert_eq!(count(dsdt, &resources), 1, "{name}");
    }
}

fn pci() -> PciHost {
    PciHost {
        ecam: AddrRange::new(0xe000_0000, 0x10_0000).unwrap(),
        memory: AddrRange::new(0xe800_0000, 0x800_0000).unwrap(),
        ports: AddrRange::new(0xc000, 0x1000).unwrap(),
        config_ports: 0xcf8,
        interrupts: (1..32)
            .map(|slot| PciInterrupt { slot, gsi: 16 + u32::from(slot % 8) })
            .collect(),
    }
}

#[test]
fn the_mcfg_is_there_with_a_host_bridge_and_only_then() {
    let without = build(&machine(1, 2)).unwrap();
    assert_eq!(count(&without, b"MCFG"), 0);
    let tables = build(&AcpiDescription { pci: Some(pci()), ..machine(1, 0) }).unwrap();
    found(&tables);
    let xsdt = table(&tables, u64_at(&tables, 24));
    let mcfg = table(&tables, u64_at(xsdt, 52));
    assert_eq!((&mcfg[..4], mcfg.len()), (&b"MCFG"[..], 60));
    // Base, segment, first and last bus.
    assert_eq!((u64_at(mcfg, 44), &mcfg[52..60]), (0xe000_0000, &[0; 8][..]));
}

#[test]
fn the_host_bridge_says_what_it_leads_to_and_where_pins_go() {
    let tables = build(&AcpiDescription { pci: Some(pci()), ..machine(1, 0) }).unwrap();
    let [.., dsdt] = found(&tables);
    assert_eq!(count(dsdt, b"PCI0\x08_HID\x0c\x41\xd0\x0a\x08\x08_CID\x0c\x41\xd0\x0a\x03"), 1);
    // WordBusNumber (…, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
    assert_eq!(count(dsdt, b"\x88\x0d\0\x02\x0c\0\0\0\0\0\0\0\0\0\x01\0"), 1);
    // IO (Decode16, 0xcf8, 0xcf8, 1, 8)
    assert_eq!(count(dsdt, b"\x47\x01\xf8\x0c\xf8\x0c\x01\x08"), 1);
    // WordIO (…, EntireRange, 0, 0xc000, 0xcfff, 0, 0x1000)
    let ports = b"\x88\x0d\0\x01\x0c\x03\0\0\0\xc0\xff\xcf\0\0\0\x10";
    assert_eq!(count(dsdt, ports), 1);
    // DWordMemory (…, NonCacheable, ReadWrite, 0, 0xe8000000, 0xefffffff, 0, 0x8000000)
    let memory = b"\x87\x17\0\0\x0c\x01\0\0\0\0\0\0\0\xe8\xff\xff\xff\xef\0\0\0\0\0\0\0\x08";
    assert_eq!(count(dsdt, memory), 1);
    for slot in 1..32_u8 {
        // Package () {slot << 16 | 0xffff, 0, 0, gsi}
        let entry = [0x12, 0x0b, 4, 0x0c, 0xff, 0xff, slot, 0, 0, 0, 0x0a, 16 + slot % 8];
        assert_eq!(count(dsdt, &entry), 1, "slot {slot}");
    }
    // Memory32Fixed (ReadWrite, 0xe0000000, 0x100000) of the reservation.
    assert_eq!(count(dsdt, b"MRES\x08_HID\x0c\x41\xd0\x0c\x02"), 1);
    assert_eq!(count(dsdt, b"\x86\x09\0\x01\0\0\0\xe0\0\0\x10\0"), 1);
}

#[test]
fn a_host_bridge_above_4_gib_is_refused() {
    let memory = AddrRange::new(0x1_0000_0000, 0x1000).unwrap();
    let host = PciHost { memory, ..pci() };
    let refused = build(&AcpiDescription { pci: Some(host), ..machine(1, 0) }).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the PCI host bridge at 0x100000000 lies above 4 GiB, out of reach of its ACPI descriptor"
    );
}

#[test]
fn a_machine_without_devices_names_none() {
    let description = AcpiDescription {
        cpus: 1,
        serial: None,
        panic_port: None,
        virtio_mmio: Vec::new(),
        pci: None,
    };
    let tables = build(&description).unwrap();
    let [.., dsdt] = found(&tables);
    assert_eq!((count(dsdt, b"COM1"), count(dsdt, b"LNRO0005")), (0, 0));
    assert_eq!(count(dsdt, b"QEMU0001"), 0);
    assert_eq!(count(dsdt, b"_S5_"), 1);
}

#[test]
fn what_cannot_be_described_is_refused() {
    let ram = allocate(&plan(2 << 20)).unwrap();
    let mut description = machine(1, 1);
    description.virtio_mmio[0].window = AddrRange::new(0xffff_ffff, 2).unwrap();
    assert_eq!(
        write(&ram, &description).unwrap_err().to_string(),
        "the virtio device at 0xffffffff lies above 4 GiB, out of reach of its ACPI descriptor"
    );
    assert!(matches!(write(&ram, &machine(1, 3000)), Err(AcpiError::TooBig { .. })));
    let small = allocate(&plan(64 << 10)).unwrap();
    assert_eq!(
        write(&small, &machine(1, 1)).unwrap_err().to_string(),
        "the guest has too little memory for its ACPI tables"
    );
}
