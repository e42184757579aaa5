use std::sync::Arc;

use vmm_core::bus::BusDevice;

use super::RingPart;
use crate::backend::disk::MemoryDisk;
use crate::virtio::blk::{Blk, DiskOptions};
use crate::virtio::spec::{feature, status};
use crate::virtio::testing::*;

const HANDSHAKE: u8 = status::ACKNOWLEDGE | status::DRIVER;

fn guest() -> Guest<MmioRegisters> {
    let disk = MemoryDisk::new(vec![0; 4096], false);
    Guest::mmio(Blk::on_loop(Arc::new(disk), &DiskOptions::default()).unwrap())
}

fn read(guest: &mut Guest<MmioRegisters>, offset: u64) -> u32 {
    let mut word = [0xaa; 4];
    guest.regs.mmio.read(offset, &mut word);
    u32::from_le_bytes(word)
}

#[test]
fn the_registers_name_a_modern_block_device() {
    let mut guest = guest();
    assert_eq!(read(&mut guest, 0), 0x7472_6976);
    assert_eq!(read(&mut guest, 4), 2);
    assert_eq!(read(&mut guest, 8), 2);
    assert_ne!(guest.regs.device_features() & feature::COMMON, 0);
    guest.regs.mmio.write(0x14, &2_u32.to_le_bytes());
    assert_eq!(read(&mut guest, 0x10), 0);
    assert_eq!(read(&mut guest, 0xb0), u32::MAX);
}

#[test]
fn features_need_version_1_and_nothing_that_was_not_offered() {
    let mut guest = guest();
    for (features, accepted) in [
        (0, 0),
        (feature::EVENT_IDX, 0),
        (feature::VERSION_1, 8),
        (feature::VERSION_1 | 1 << 33, 0),
    ] {
        guest.regs.set_status(0);
        guest.regs.set_status(HANDSHAKE);
        guest.regs.set_driver_features(features);
        guest.regs.set_status(HANDSHAKE | status::FEATURES_OK);
        assert_eq!(guest.regs.status(), HANDSHAKE | accepted);
    }
}

#[test]
fn features_are_fixed_once_agreed() {
    let mut guest = guest();
    guest.negotiate(feature::VERSION_1);
    guest.regs.set_driver_features(0);
    guest.set_up_queues(8);
    guest.go();
    assert_eq!(guest.regs.status(), 15);
}

#[test]
fn driver_ok_waits_for_features_ok() {
    let mut guest = guest();
    guest.regs.set_status(HANDSHAKE | status::DRIVER_OK);
    assert_eq!(guest.regs.status(), HANDSHAKE);
    guest.regs.set_status(status::FEATURES_OK);
    assert_eq!(guest.regs.status(), HANDSHAKE);
}

#[test]
fn status_bits_are_only_cleared_by_a_reset() {
    let mut guest = guest();
    guest.regs.set_status(HANDSHAKE);
    guest.regs.set_status(status::FAILED);
    assert_eq!(guest.regs.status(), HANDSHAKE | status::FAILED);
    guest.regs.set_status(0);
    assert_eq!(guest.regs.status(), 0);
}

/// Whether a queue with this one thing changed can be made ready.
fn is_accepted(change: impl FnOnce(&mut MmioRegisters)) -> bool {
    let mut guest = guest();
    guest.negotiate(feature::VERSION_1);
    guest.set_up_queues(8);
    guest.regs.set_queue_ready(0, false);
    change(&mut guest.regs);
    guest.regs.set_queue_ready(0, true);
    guest.regs.is_queue_ready(0)
}

#[test]
fn a_queue_is_ready_only_if_its_size_is_right() {
    for size in [0, 3, 255, 257, 512, 32768, 65536, 65537, u32::MAX] {
        assert!(!is_accepted(|regs| regs.set_queue_size(0, size)), "{size}");
    }
    for size in [1, 2, 128, 256] {
        assert!(is_accepted(|regs| regs.set_queue_size(0, size)), "{size}");
    }
}

#[test]
fn a_queue_is_ready_only_if_aligned() {
    for (part, align) in [(RingPart::Desc, 16), (RingPart::Driver, 2), (RingPart::Device, 4)] {
        for off in 1..align {
            assert!(!is_accepted(|regs| regs.set_queue_part(0, part, 0x1_0000 + off)));
        }
        assert!(is_accepted(|regs| regs.set_queue_part(0, part, 0x1_0000 + align)));
    }
}

#[test]
fn a_queue_is_ready_only_if_all_of_it_is_ram() {
    let parts = [(RingPart::Desc, 128), (RingPart::Driver, 22), (RingPart::Device, 70)];
    for (part, len) in parts {
        for region in RAM {
            let end = region.base + region.size;
            let last = (end - len) & !15;
            assert!(is_accepted(|regs| regs.set_queue_part(0, part, last)), "{part:?}");
            for addr in [last + 16, end, end + 16, !15] {
                assert!(!is_accepted(|regs| regs.set_queue_part(0, part, addr)), "{part:?}");
            }
        }
        assert!(!is_accepted(|regs| regs.set_queue_part(0, part, 0)));
    }
}

#[test]
fn a_register_of_the_wrong_width_is_no_register() {
    let mut guest = guest();
    for len in [1, 2, 3, 5, 8] {
        let mut data = vec![0xaa; len];
        guest.regs.mmio.read(0, &mut data);
        assert_eq!(data, vec![0; len]);
        guest.regs.mmio.write(0x70, &vec![1; len]);
        assert_eq!(guest.regs.status(), 0);
    }
}

#[test]
fn the_line_follows_the_interrupt_status() {
    let mut guest = guest();
    guest.start(feature::VERSION_1);
    guest.queues[0].add(&guest.mem, &[write_only(0x10_0000, 1)]);
    assert!(!guest.line.is_high());
    guest.kick(0);
    assert!(guest.line.is_high());
    guest.regs.mmio.write(0x64, &2_u32.to_le_bytes());
    assert!(guest.line.is_high());
    guest.regs.mmio.write(0x64, &1_u32.to_le_bytes());
    assert!(!guest.line.is_high());
    assert_eq!(guest.line.rises(), 1);
}

#[test]
fn a_reset_lowers_the_line() {
    let mut guest = guest();
    guest.start(feature::VERSION_1);
    guest.queues[0].add(&guest.mem, &[write_only(0x10_0000, 1)]);
    guest.kick(0);
    guest.regs.set_status(0);
    assert!(!guest.line.is_high());
    assert_eq!(guest.regs.take_interrupts(), 0);
}
