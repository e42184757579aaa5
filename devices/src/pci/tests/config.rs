use vmm_core::bus::AddrRange;

use crate::pci::spec::{capability, class, command, reg, status};
use crate::pci::{Bar, Capability, ConfigSpace, Identity, Space, Window};

const IDENTITY: Identity = Identity {
    vendor: 0x1af4,
    device: 0x1042,
    revision: 1,
    class: class::STORAGE_OTHER,
    subsystem_vendor: 0x1af4,
    subsystem: 0x40,
    has_pin: true,
};

fn write32(space: &mut ConfigSpace, offset: u16, value: u32) {
    space.write(offset, &value.to_le_bytes());
}

fn window(base: u64, len: u64) -> Option<Window> {
    Some(Window { space: Space::Memory, range: AddrRange::new(base, len)? })
}

#[test]
fn the_header_says_what_the_function_is() {
    let space = ConfigSpace::new(IDENTITY);
    assert_eq!(space.read32(reg::VENDOR_ID), 0x1042_1af4);
    assert_eq!(space.read32(reg::REVISION), 0x0180_0001);
    assert_eq!(space.read32(reg::SUBSYSTEM_VENDOR_ID), 0x0040_1af4);
    assert_eq!(space.read32(reg::COMMAND), 0);
    assert_eq!(space.read32(reg::INTERRUPT_LINE), 0x0100);
}

#[test]
fn what_is_read_only_stays_as_it_is() {
    let mut space = ConfigSpace::new(IDENTITY);
    let before: Vec<_> = (0..64).map(|n| space.read32(4 * n)).collect();
    for n in 0..64 {
        write32(&mut space, 4 * n, u32::MAX);
    }
    let written = |n: u16| space.read32(4 * n) ^ before[usize::from(n)];
    // Memory space, bus master, parity, SERR# and interrupt disable.
    assert_eq!(written(1), 0x0546);
    // Cache line size and latency timer; interrupt line.
    assert_eq!((written(3), written(15)), (0xffff, 0xff));
    assert!((0..64).filter(|n| ![1, 3, 15].contains(n)).all(|n| written(n) == 0));
}

#[test]
fn all_ones_find_the_size_of_a_window() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.add_bar(0, Bar::memory32(0x4000));
    space.add_bar(2, Bar::memory64(1 << 33));
    space.add_bar(4, Bar::io(32));
    space.add_bar(5, Bar::memory32(16));
    for n in 0..6 {
        write32(&mut space, reg::BAR0 + 4 * n, u32::MAX);
    }
    let read: Vec<_> = (0..6).map(|n| space.read32(reg::BAR0 + 4 * n)).collect();
    assert_eq!(read, [0xffff_c000, 0, 0b1100, 0xffff_fffe, 0xffe1, 0xffff_fff0]);
}

#[test]
fn a_window_is_where_its_register_says_and_only_if_enabled() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.add_bar(0, Bar::memory32(0x4000));
    space.add_bar(2, Bar::memory64(0x1000));
    write32(&mut space, reg::BAR0, 0xe800_3fff);
    write32(&mut space, reg::BAR0 + 8, 0x1000);
    write32(&mut space, reg::BAR0 + 12, 0x12);
    assert_eq!(space.windows(), [None; 6]);
    write32(&mut space, reg::COMMAND, command::MEMORY.into());
    assert_eq!(space.windows()[0], window(0xe800_0000, 0x4000));
    assert_eq!(space.windows()[1], None);
    assert_eq!(space.windows()[2], window(0x12_0000_1000, 0x1000));
    // A byte moves it, too.
    space.write(reg::BAR0 + 3, &[0xe9]);
    assert_eq!(space.windows()[0], window(0xe900_0000, 0x4000));
    space.write(reg::COMMAND, &[0]);
    assert_eq!(space.windows(), [None; 6]);
}

#[test]
fn ports_are_decoded_by_a_bit_of_their_own() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.add_bar(0, Bar::memory32(16));
    space.add_bar(1, Bar::io(4));
    write32(&mut space, reg::BAR0, 0xe800_0000);
    write32(&mut space, reg::BAR0 + 4, 0x1_c007);
    assert_eq!(space.windows(), [None; 6]);
    let ports = Window { space: Space::Io, range: AddrRange::new(0xc004, 4).unwrap() };
    write32(&mut space, reg::COMMAND, command::IO.into());
    assert_eq!(space.windows()[..2], [None, Some(ports)]);
    write32(&mut space, reg::COMMAND, (command::IO | command::MEMORY).into());
    assert_eq!(space.windows()[..2], [window(0xe800_0000, 16), Some(ports)]);
    write32(&mut space, reg::COMMAND, command::MEMORY.into());
    assert_eq!(space.windows()[..2], [window(0xe800_0000, 16), None]);
}

#[test]
#[should_panic(expected = "no base address register can express")]
fn more_ports_than_a_register_may_ask_for_are_a_bug() {
    ConfigSpace::new(IDENTITY).add_bar(0, Bar::io(512));
}

#[test]
fn a_window_at_the_end_of_all_addresses_does_not_wrap() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.add_bar(4, Bar::memory64(1 << 63));
    write32(&mut space, reg::COMMAND, command::MEMORY.into());
    write32(&mut space, reg::BAR0 + 16, u32::MAX);
    write32(&mut space, reg::BAR0 + 20, u32::MAX);
    assert_eq!(space.windows()[4], window(1 << 63, 1 << 63));
}

#[test]
fn capabilities_are_a_list_that_ends() {
    let mut space = ConfigSpace::new(IDENTITY);
    assert_eq!(space.read16(reg::STATUS) & status::CAPABILITIES, 0);
    let first = space.add_capability(&Capability::read_only(capability::VENDOR, [1, 2, 3]));
    let second = space.add_capability(&Capability {
        id: capability::MSIX,
        body: vec![0; 10],
        writable: vec![0, 0xc0],
    });
    assert_eq!((first, second), (0x40, 0x48));
    assert_eq!(space.read16(reg::STATUS) & status::CAPABILITIES, status::CAPABILITIES);
    assert_eq!(space.read16(reg::CAPABILITIES), 0x40);
    assert_eq!(space.read32(0x40), 0x0201_4809);
    assert_eq!(space.read32(0x48) & 0xffff, 0x0011);
    for at in (0x40..0x60).step_by(4) {
        write32(&mut space, at, u32::MAX);
    }
    assert_eq!((space.read32(0x40), space.read32(0x48)), (0x0201_4809, 0xc000_0011));
}

#[test]
#[should_panic(expected = "the capabilities do not fit")]
fn capabilities_past_the_end_are_a_bug() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.add_capability(&Capability::read_only(capability::VENDOR, [0; 191]));
}

#[test]
#[should_panic(expected = "base address register 3 is taken")]
fn the_upper_half_of_a_wide_register_is_taken() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.add_bar(2, Bar::memory64(0x1000));
    space.add_bar(3, Bar::memory32(0x1000));
}

#[test]
fn an_access_past_the_end_reads_all_ones_and_writes_nothing() {
    let mut space = ConfigSpace::new(IDENTITY);
    let mut data = [0; 8];
    space.write(252, &[0; 8]);
    space.read(252, &mut data);
    assert_eq!(data, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    space.read(u16::MAX, &mut data);
    assert_eq!(data, [0xff; 8]);
}

#[test]
fn the_interrupt_status_is_the_functions_to_set() {
    let mut space = ConfigSpace::new(IDENTITY);
    space.set_interrupt_status(true);
    write32(&mut space, reg::COMMAND, 0xffff_0000);
    assert_eq!(space.read16(reg::STATUS), status::INTERRUPT);
    space.set_interrupt_status(false);
    assert_eq!(space.read16(reg::STATUS), 0);
}
