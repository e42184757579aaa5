use std::fs::File;
use std::os::unix::fs::FileExt;

use vm_memory::{Bytes, GuestAddress, GuestMemory, VolatileSlice};

use super::*;
use crate::arch::x86_64::layout::{HIGH_RAM, LOW_RAM_END};

const GIB: u64 = 1 << 30;

#[test]
fn ram_goes_round_the_mmio_gap() {
    assert_eq!(plan(GIB / 4), [RamRegion { base: 0, size: GIB / 4 }]);
    assert_eq!(plan(3 * GIB), [RamRegion { base: 0, size: LOW_RAM_END }]);
    assert_eq!(
        plan(6 * GIB),
        [RamRegion { base: 0, size: LOW_RAM_END }, RamRegion { base: HIGH_RAM, size: 3 * GIB }]
    );
}

#[test]
fn no_memory_is_reachable_inside_the_gap() {
    let ram = allocate(&plan(4 * GIB)).unwrap();
    assert_eq!(ram.iter().count(), 2);
    ram.write_slice(&[1], GuestAddress(LOW_RAM_END - 1)).unwrap();
    ram.write_slice(&[1], GuestAddress(HIGH_RAM)).unwrap();
    assert!(ram.write_slice(&[1], GuestAddress(LOW_RAM_END)).is_err());
    assert!(ram.write_slice(&[1, 2], GuestAddress(LOW_RAM_END - 1)).is_err());
}

/// Which pages of the range the host has, in memory or swapped out, by
/// `/proc/self/pagemap`.
fn resident(ram: &GuestRam, addr: u64, pages: usize) -> Vec<bool> {
    let host = ram.get_host_address(GuestAddress(addr)).unwrap().addr();
    let mut entries = vec![0; pages * 8];
    let pagemap = File::open("/proc/self/pagemap").unwrap();
    pagemap.read_exact_at(&mut entries, (host / 4096 * 8).try_into().unwrap()).unwrap();
    entries.chunks(8).map(|entry| entry[7] & 0xc0 != 0).collect()
}

#[test]
fn whole_pages_go_back_to_the_host_and_read_as_zeros() {
    let ram = allocate(&plan(1 << 20)).unwrap();
    ram.write_slice(&[7; 0x6000], GuestAddress(0x1_0000)).unwrap();
    // The second half of a page, two pages, the first half of the next.
    give_back(&ram, 0x1_0800..0x1_3800).unwrap();
    assert_eq!(resident(&ram, 0x1_0000, 6), [true, false, false, true, true, true]);
    let mut bytes = [1; 0x6000];
    ram.read_slice(&mut bytes, GuestAddress(0x1_0000)).unwrap();
    let given = 0x1000..0x3000;
    for (at, byte) in bytes.iter().enumerate() {
        assert_eq!(*byte, if given.contains(&at) { 0 } else { 7 }, "{at:#x}");
    }
    // They can be used again.
    ram.write_slice(&[9], GuestAddress(0x1_1000)).unwrap();
    assert_eq!(ram.read_obj::<u8>(GuestAddress(0x1_1000)).unwrap(), 9);
}

#[test]
fn what_is_no_ram_is_left_out() {
    let ram = allocate(&plan(LOW_RAM_END + (1 << 20))).unwrap();
    for addr in [0, LOW_RAM_END - 0x1000, HIGH_RAM, HIGH_RAM + (1 << 20) - 0x1000] {
        ram.write_slice(&[7; 0x1000], GuestAddress(addr)).unwrap();
    }
    let first = |addr| ram.read_obj::<u8>(GuestAddress(addr)).unwrap();
    give_back(&ram, LOW_RAM_END..HIGH_RAM).unwrap();
    give_back(&ram, HIGH_RAM + (1 << 20)..u64::MAX).unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "a guest may ask for it")]
    give_back(&ram, 0x1000..0).unwrap();
    give_back(&ram, u64::MAX - 1..u64::MAX).unwrap();
    give_back(&ram, 1..0x1fff).unwrap();
    assert_eq!([first(0), first(LOW_RAM_END - 1), first(HIGH_RAM)], [7; 3]);
    // Over the gap and past the end.
    give_back(&ram, 0x1000..u64::MAX).unwrap();
    assert_eq!([first(0), first(LOW_RAM_END - 1), first(HIGH_RAM)], [7, 0, 0]);
}

#[test]
fn an_address_is_known_by_its_memory() {
    let ram = allocate(&plan(LOW_RAM_END + (1 << 20))).unwrap();
    for addr in [0, 5, LOW_RAM_END - 1, HIGH_RAM, HIGH_RAM + (1 << 20) - 1] {
        let slice = ram.get_slice(GuestAddress(addr), 1).unwrap();
        assert_eq!(address_of(&ram, &slice), Some(addr));
    }
    let mut other = [0; 8];
    assert_eq!(address_of(&ram, &VolatileSlice::from(&mut other[..])), None);
}
