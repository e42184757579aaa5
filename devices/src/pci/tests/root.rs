use std::sync::{Arc, Mutex};

use vmm_core::bus::{AddrRange, SharedDevice};

use crate::pci::spec::{command, reg};
use crate::pci::testing::{Messages, Sample};
use crate::pci::{Aperture, Ecam, NoSlot, Root, Space};

const BASE: u64 = 0xe800_0000;
const PORTS: u64 = 0xc000;

fn aperture(pages: u64) -> AddrRange {
    AddrRange::new(BASE, pages * Sample::SIZE).unwrap()
}

/// Ports for so many samples.
fn ports(samples: u64) -> AddrRange {
    AddrRange::new(PORTS, samples * Sample::PORTS).unwrap()
}

/// A bus with this many samples, in slots 1 and up.
fn bus(samples: u8) -> Arc<Root> {
    let root = Arc::new(Root::new());
    for slot in 1..=samples {
        let sample = Sample::new(2, &Messages::default());
        assert_eq!(root.add(Arc::new(Mutex::new(sample))), Ok(slot));
    }
    root
}

fn read32(root: &Root, slot: u8, offset: u16) -> u32 {
    let mut data = [0; 4];
    root.read_config(slot, 0, offset, &mut data);
    u32::from_le_bytes(data)
}

fn write32(root: &Root, slot: u8, offset: u16, value: u32) {
    root.write_config(slot, 0, offset, &value.to_le_bytes());
}

fn memory(root: &Root, addr: u64) -> u32 {
    let mut data = [0; 4];
    root.read(Space::Memory, addr, &mut data);
    u32::from_le_bytes(data)
}

#[test]
fn the_host_bridge_is_first_and_absent_functions_are_all_ones() {
    let root = bus(1);
    assert_eq!(read32(&root, 0, reg::REVISION) >> 8, 0x06_0000);
    assert_eq!(read32(&root, 1, reg::VENDOR_ID), 0x5678_1234);
    for slot in 2..=255 {
        assert_eq!(read32(&root, slot, reg::VENDOR_ID), u32::MAX);
    }
    let mut data = [0; 2];
    root.read_config(1, 1, reg::VENDOR_ID, &mut data);
    assert_eq!(data, [0xff; 2]);
    root.write_config(1, 1, reg::COMMAND, &[0xff; 2]);
    assert_eq!(read32(&root, 1, reg::COMMAND) & 0xffff, 0);
}

#[test]
fn a_bus_takes_31_devices() {
    let root = bus(31);
    let more = Sample::new(1, &Messages::default());
    let refused = root.add(Arc::new(Mutex::new(more))).unwrap_err();
    assert_eq!(refused, NoSlot);
    assert_eq!(refused.to_string(), "a PCI bus has no more than 31 slots for devices");
}

#[test]
fn firmware_places_every_window_and_notes_the_line() {
    let root = bus(2);
    root.assign(aperture(4), ports(2), |slot| 16 + slot).unwrap();
    for slot in [1, 2] {
        let base = u32::try_from(BASE).unwrap() + 0x2000 * u32::from(slot - 1);
        assert_eq!(read32(&root, slot, reg::BAR0), base);
        assert_eq!(read32(&root, slot, reg::BAR0 + 8), (base + 0x1000) | 0b1100);
        assert_eq!(read32(&root, slot, reg::BAR0 + 12), 0);
        assert_eq!(read32(&root, slot, reg::BAR0 + 16), 0xc001 + 8 * u32::from(slot - 1));
        let decode = u32::from(command::MEMORY | command::IO);
        assert_eq!(read32(&root, slot, reg::COMMAND), decode | 0x10_0000);
        assert_eq!(read32(&root, slot, reg::INTERRUPT_LINE), 0x110 | u32::from(slot));
    }
    assert_eq!(read32(&root, 0, reg::INTERRUPT_LINE), 0);
    assert_eq!(read32(&root, 0, reg::COMMAND) & 0xffff, u32::from(command::MEMORY), "no ports");
}

#[test]
fn windows_that_do_not_fit_are_refused_in_words() {
    let refused = bus(2).assign(aperture(3), ports(2), |slot| slot).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the PCI devices ask for more memory space than 0xe8000000..=0xe8002fff has"
    );
    let refused = bus(2).assign(aperture(4), ports(1), |slot| slot).unwrap_err();
    assert_eq!(refused.to_string(), "the PCI devices ask for more ports than 0xc000..=0xc007 has");
}

#[test]
fn ports_are_not_memory() {
    let root = bus(1);
    root.assign(aperture(2), ports(1), |slot| slot).unwrap();
    let io = Aperture::new(Arc::clone(&root), Space::Io, PORTS);
    io.write(4, &[1, 2]);
    let mut data = [0; 2];
    io.read(4, &mut data);
    assert_eq!((data, memory(&root, BASE + 0x1004)), ([1, 2], 0x0201));
    // Past the last port in part, and the same numbers as addresses.
    io.read(7, &mut data);
    assert_eq!((data, memory(&root, PORTS)), ([0xff; 2], u32::MAX));
    let enabled = u32::from(command::MEMORY);
    write32(&root, 1, reg::COMMAND, enabled);
    io.read(4, &mut data);
    assert_eq!((data, memory(&root, BASE + 0x1004)), ([0xff; 2], 0x0201));
}

#[test]
fn a_window_answers_where_it_was_moved_to_and_nowhere_else() {
    let root = bus(1);
    root.assign(aperture(4), ports(2), |slot| slot).unwrap();
    root.write(Space::Memory, BASE + 0x1ffc, &7_u32.to_le_bytes());
    assert_eq!(memory(&root, BASE + 0x1ffc), 7);
    // Past the window's end, in part or whole.
    assert_eq!(memory(&root, BASE + 0x1ffd), u32::MAX);
    assert_eq!(memory(&root, BASE + 0x2000), u32::MAX);

    write32(&root, 1, reg::BAR0 + 8, 0x9000_0000);
    write32(&root, 1, reg::BAR0 + 12, 5);
    assert_eq!(memory(&root, BASE + 0x1ffc), u32::MAX);
    assert_eq!(memory(&root, 0x5_9000_0ffc), 7);

    write32(&root, 1, reg::COMMAND, 0);
    assert_eq!(memory(&root, 0x5_9000_0ffc), u32::MAX);
    root.write(Space::Memory, 0x5_9000_0ffc, &[0; 4]);
    write32(&root, 1, reg::COMMAND, command::MEMORY.into());
    assert_eq!(memory(&root, 0x5_9000_0ffc), 7);
}

#[test]
fn windows_on_top_of_each_other_harm_nobody() {
    let root = bus(2);
    root.assign(aperture(4), ports(2), |slot| slot).unwrap();
    write32(&root, 2, reg::BAR0 + 8, 0xe800_1000);
    root.write(Space::Memory, BASE + 0x1000, &1_u32.to_le_bytes());
    write32(&root, 1, reg::BAR0 + 8, 0xe800_3000);
    assert_eq!(memory(&root, BASE + 0x3000), 1);
    assert_eq!(memory(&root, BASE + 0x1000), 0);
}

#[test]
fn ecam_has_a_page_a_function() {
    let ecam = Ecam::new(bus(31));
    let read = |offset: u64| {
        let mut data = [0; 4];
        ecam.read(offset, &mut data);
        u32::from_le_bytes(data)
    };
    for slot in 1..32 {
        assert_eq!(read(slot << 15), 0x5678_1234);
        assert_eq!(read(slot << 15 | 1 << 12), u32::MAX);
    }
    // Conventional functions have no extended space.
    assert_eq!((read(1 << 15 | 0x100), read(1 << 15 | 0xffc)), (u32::MAX, u32::MAX));
    ecam.write(17 << 15 | 0x3c, &[9]);
    assert_eq!((read(17 << 15 | 0x3c), read(16 << 15 | 0x3c)), (0x109, 0x100));
}

#[test]
fn an_access_across_words_is_cut_and_one_across_the_end_is_all_ones_there() {
    let ecam = Ecam::new(bus(1));
    let mut data = [0; 8];
    // The sample panics if it sees one uncut.
    ecam.read(1 << 15 | 0x2, &mut data[..5]);
    assert_eq!(data[..5], [0x78, 0x56, 0, 0, 0x10]);
    ecam.write(1 << 15 | 0x3, &[0xff; 8]);
    ecam.read(1 << 15 | 0xfe, &mut data);
    assert_eq!(data, [0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn the_aperture_adds_its_base() {
    let root = bus(1);
    root.assign(aperture(2), ports(1), |slot| slot).unwrap();
    let window = Aperture::new(Arc::clone(&root), Space::Memory, BASE);
    window.write(0x1008, &[1, 2, 3]);
    let mut data = [0; 3];
    window.read(0x1008, &mut data);
    assert_eq!((data, memory(&root, BASE + 0x1008)), ([1, 2, 3], 0x0003_0201));
}

#[test]
fn a_function_that_is_busy_holds_up_nobody_else() {
    let root = Arc::new(Root::new());
    let [busy, other] = [(); 2].map(|()| {
        let sample = Arc::new(Mutex::new(Sample::new(1, &Messages::default())));
        root.add(Arc::clone(&sample) as _).unwrap();
        sample
    });
    root.assign(aperture(4), ports(2), |slot| slot).unwrap();
    let _held = busy.lock().unwrap();
    // These would not come back if they waited for it.
    assert_eq!(read32(&root, 2, reg::VENDOR_ID), 0x5678_1234);
    write32(&root, 2, reg::BAR0 + 8, 0xe800_3000);
    root.write(Space::Memory, BASE + 0x3000, &7_u32.to_le_bytes());
    assert_eq!(memory(&root, BASE + 0x3000), 7);
    assert!(other.try_lock().is_ok());
}
