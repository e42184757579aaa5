use vm_memory::{Bytes, GuestAddress, GuestMemory};

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
