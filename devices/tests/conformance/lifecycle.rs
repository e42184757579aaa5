//! Status, features, start, stop and reset.

use std::sync::Arc;

use devices::virtio::spec::{feature, status};
use devices::virtio::testing::{Guest, Registers, TestLine, ram};
use devices::virtio::transport::QueueSetup;
use devices::virtio::{DeviceIo, Interrupt, VirtioDevice};

use crate::subject::{ALL, Subject, assert_usable, new};

pub(crate) fn a_device_may_be_stopped_at_any_time_and_twice<S: Subject, R: Registers>() {
    let (_subject, mut device) = S::new();
    let sizes = device.info().queue_sizes.clone();
    assert_eq!(u32::try_from(sizes.len()), Ok(S::QUEUES));
    for _ in 0..3 {
        assert!(device.stop().is_empty());
        let line = Arc::new(TestLine::default());
        let io = DeviceIo {
            mem: ram(),
            features: feature::VERSION_1,
            queues: sizes.iter().map(|max| QueueSetup::new(*max).queue(false)).collect(),
            interrupt: Arc::new(Interrupt::new(0, line)),
        };
        device.start(io).expect("the host refuses nothing");
        assert_eq!(device.stop().len(), sizes.len());
        assert!(device.stop().is_empty());
    }

    let (mut subject, mut guest) = new::<S, R>();
    for _ in 0..3 {
        guest.regs.set_status(0);
        guest.regs.set_status(0);
        guest.pump();
        assert_usable(&mut subject, &mut guest);
    }
}

/// The status after an attempt to agree on exactly `features`.
fn offer<R: Registers>(guest: &mut Guest<R>, features: u64) -> u8 {
    guest.regs.set_status(0);
    guest.regs.set_status(status::ACKNOWLEDGE | status::DRIVER);
    guest.regs.set_driver_features(features);
    guest.regs.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
    guest.regs.status()
}

pub(crate) fn unoffered_features_are_refused<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    let offered = guest.regs.device_features();
    assert_ne!(offered & feature::VERSION_1, 0);
    for bit in (0..64).map(|n| 1 << n) {
        let right = offered & bit != 0;
        let status = offer(&mut guest, feature::VERSION_1 | bit);
        assert_eq!(status & status::FEATURES_OK != 0, right, "{bit:#x}");
        guest.set_live();
        assert_eq!(guest.regs.status() & status::DRIVER_OK != 0, right, "{bit:#x}");
    }
    let status = offer(&mut guest, offered & !feature::VERSION_1);
    assert_eq!(status & status::FEATURES_OK, 0);
    assert_usable(&mut subject, &mut guest);
}

pub(crate) fn every_subset_of_features_works<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for bit in (0..64).map(|n| 1 << n) {
        for features in [bit, !bit] {
            guest.start(features | feature::VERSION_1);
            subject.work(&mut guest);
        }
    }
}

pub(crate) fn a_device_without_queues_does_nothing<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    guest.negotiate(ALL);
    guest.go();
    for queue in 0..S::QUEUES {
        subject.poke(&mut guest, queue);
    }
    assert_eq!(guest.regs.take_interrupts(), 0);
    assert!(!guest.is_reset_needed());
    assert_usable(&mut subject, &mut guest);
}

pub(crate) fn kicks_out_of_time_are_ignored<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    let kick_all = |subject: &mut S, guest: &mut Guest<R>| {
        for queue in (0..S::QUEUES).chain([S::QUEUES, 0xffff, u32::MAX]) {
            subject.poke(guest, queue);
        }
        assert_eq!(guest.regs.take_interrupts(), 0);
    };
    kick_all(&mut subject, &mut guest);
    guest.negotiate(ALL);
    kick_all(&mut subject, &mut guest);
    guest.set_up_queues(16);
    kick_all(&mut subject, &mut guest);
    guest.go();
    kick_all(&mut subject, &mut guest);
    guest.regs.set_status(0);
    kick_all(&mut subject, &mut guest);
    assert_usable(&mut subject, &mut guest);
}

pub(crate) fn a_reset_leaves_memory_alone<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for _ in 0..3 {
        guest.start(ALL);
        let request = subject.request(&guest);
        for queue in &mut guest.queues {
            queue.add(&guest.mem, &request);
        }
        for queue in 0..S::QUEUES {
            guest.regs.notify(queue);
        }
        guest.regs.set_status(0);
        let before = guest.read(0, 0x40_0000);
        for queue in 0..S::QUEUES {
            subject.poke(&mut guest, queue);
        }
        assert!(before == guest.read(0, 0x40_0000), "memory changed after a reset");
        assert!(!guest.line.is_high());
        assert_usable(&mut subject, &mut guest);
    }
}
