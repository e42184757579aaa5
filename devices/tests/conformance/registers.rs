//! Registers and configuration space.

use devices::virtio::testing::Registers;
use devices::virtio::transport::RingPart;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::subject::{ALL, Subject, assert_usable, new};

pub(crate) fn queues_are_frozen_while_live<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    guest.start(ALL);
    for queue in 0..S::QUEUES {
        for size in [0, 1, 3, 8, 0xffff, u32::MAX] {
            guest.regs.set_queue_size(queue, size);
        }
        for part in [RingPart::Desc, RingPart::Driver, RingPart::Device] {
            for addr in [0, 1, 0x50_0000, 0x3f_fff0, u64::MAX] {
                guest.regs.set_queue_part(queue, part, addr);
            }
        }
        guest.regs.set_queue_ready(queue, false);
        assert!(guest.regs.is_queue_ready(queue));
        guest.regs.set_queue_ready(queue, true);
    }
    guest.regs.set_driver_features(0);
    subject.work(&mut guest);
}

pub(crate) fn no_access_is_too_odd<S: Subject, R: Registers>() {
    for live in [false, true] {
        let (mut subject, mut guest) = new::<S, R>();
        if live {
            guest.start(ALL);
        }
        let (bus, window) = guest.regs.bus();
        for value in [0, 0xff, 0x55] {
            for len in 1..=8_usize {
                let last = window - u64::try_from(len).expect("a small number");
                for offset in R::offsets().into_iter().chain([last]) {
                    bus.write(offset, &vec![value; len]);
                    bus.read(offset, &mut vec![0xaa; len]);
                }
            }
        }
        guest.pump();
        assert_usable(&mut subject, &mut guest);
    }
}

pub(crate) fn any_writes_leave_a_usable_device<S: Subject, R: Registers>() {
    let offsets = R::offsets();
    let words: Vec<_> = offsets.iter().copied().filter(|offset| offset % 4 == 0).collect();
    let offset = prop_oneof![prop::sample::select(offsets), prop::sample::select(words)];
    let value = prop_oneof![
        Just(0_u32),
        Just(1),
        Just(3),
        Just(11),
        Just(15),
        Just(0x1_0000),
        0_u32..300,
        any::<u32>()
    ];
    let len = prop_oneof![4 => Just(4_usize), 1 => 1..=8_usize];
    let script = prop::collection::vec((offset, value, len, any::<bool>()), 0..200);
    let check = |script: Vec<(u64, u32, usize, bool)>| {
        let (mut subject, mut guest) = new::<S, R>();
        if script.len() % 2 == 1 {
            guest.start(ALL);
        }
        let (bus, _) = guest.regs.bus();
        for (offset, value, len, is_write) in script {
            let mut data = [value.to_le_bytes(), value.to_le_bytes()].concat();
            if is_write {
                bus.write(offset, &data[..len]);
            } else {
                bus.read(offset, &mut data[..len]);
            }
        }
        guest.pump();
        assert_usable(&mut subject, &mut guest);
        Ok(())
    };
    // On each of the many pairs of a device and a transport.
    let mut runner = TestRunner::new(ProptestConfig::with_cases(64));
    runner.run(&script, check).expect("every script leaves a usable device");
}

pub(crate) fn the_configuration_reads_as_zero_past_its_end<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for offset in [64, 0x100, 0xe00] {
        for len in 1..=8 {
            let mut data = vec![0xaa; len];
            guest.regs.read_config(offset, &mut data);
            assert_eq!(data, vec![0; len]);
        }
    }
    // A field reads the same in any width, at any offset.
    let mut whole = [0; 64];
    for (offset, byte) in (0..).zip(&mut whole) {
        guest.regs.read_config(offset, std::slice::from_mut(byte));
    }
    for offset in 0..56 {
        for len in 1..=8 {
            let mut data = vec![0xaa; len];
            guest.regs.read_config(offset, &mut data);
            let at = usize::try_from(offset).expect("a small number");
            assert_eq!(data, whole[at..at + len]);
        }
    }
    // Some of it a driver may write, and read again.
    for offset in 0..56 {
        for len in 1..=8 {
            guest.regs.write_config(offset, &vec![0xff; len]);
        }
    }
    assert_usable(&mut subject, &mut guest);
}
