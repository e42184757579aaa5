use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

/// Remembers what reached it; reads as the low byte of the offset.
#[derive(Default)]
struct Probe(Vec<(u64, Vec<u8>)>);

impl BusDevice for Probe {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(offset.to_le_bytes()[0]);
    }
    fn write(&mut self, offset: u64, data: &[u8]) {
        self.0.push((offset, data.to_vec()));
    }
}

fn range(base: u64, len: u64) -> AddrRange {
    AddrRange::new(base, len).unwrap()
}

#[test]
fn an_access_inside_a_window_reaches_its_device_with_an_offset() {
    let bus = Bus::new();
    let probe = Arc::new(Mutex::new(Probe::default()));
    bus.insert(range(0x100, 0x10), probe.clone()).unwrap();
    assert!(bus.write(0x104, &[1, 2]));
    assert_eq!(probe.lock().unwrap().0, [(4, vec![1, 2])]);
    let mut data = [0; 4];
    assert!(bus.read(0x10c, &mut data));
    assert_eq!(data, [0xc; 4]);
}

#[test]
fn a_straddling_or_unclaimed_access_reads_all_ones() {
    let bus = Bus::new();
    bus.insert(range(0x100, 0x10), Arc::new(Mutex::new(Probe::default()))).unwrap();
    for addr in [0xfe, 0xff, 0x10d, 0x110, u64::MAX] {
        let mut data = [0; 4];
        assert!(!bus.read(addr, &mut data), "{addr:#x}");
        assert_eq!(data, [0xff; 4]);
        assert!(!bus.write(addr, &data));
    }
}

#[test]
fn a_removed_window_is_free_again() {
    let bus = Bus::new();
    bus.insert(range(0x100, 0x10), Arc::new(Mutex::new(Probe::default()))).unwrap();
    assert!(bus.remove(0x100));
    assert!(!bus.remove(0x100));
    bus.insert(range(0x10f, 2), Arc::new(Mutex::new(Probe::default()))).unwrap();
}

#[test]
fn an_empty_or_wrapping_window_cannot_be_made() {
    assert!(AddrRange::new(5, 0).is_none());
    assert!(AddrRange::new(u64::MAX, 2).is_none());
    assert_eq!(AddrRange::new(u64::MAX, 1).unwrap().last(), u64::MAX);
}

proptest! {
    #[test]
    fn no_two_windows_ever_share_an_address(
        windows in proptest::collection::vec((0u64..200, 1u64..40), 1..20)
    ) {
        let bus = Bus::new();
        let mut taken = std::collections::HashSet::new();
        for (base, len) in windows {
            let free = (base..base + len).all(|a| !taken.contains(&a));
            let placed = bus.insert(range(base, len), Arc::new(Mutex::new(Probe::default())));
            prop_assert_eq!(placed.is_ok(), free);
            if free {
                taken.extend(base..base + len);
            }
        }
        for addr in 0..260 {
            prop_assert_eq!(bus.read(addr, &mut [0]), taken.contains(&addr));
        }
    }
}
