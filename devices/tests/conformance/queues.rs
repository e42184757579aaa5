//! Queues reset alone (VIRTIO 1.2 §2.6.1), and doorbells.

use std::sync::Arc;

use devices::virtio::spec::feature;
use devices::virtio::testing::{DriverQueue, Guest, Registers, TestDoorbells, Wiring};
use devices::virtio::transport::RingPart;

use crate::subject::{ALL, Subject, assert_usable, eventually, new};

/// Where queues lie after they were reset.
const ELSEWHERE: u64 = 0x28_0000;

fn at(queue: u32) -> usize {
    queue.try_into().expect("a small number")
}

/// Has the driver set up `queue`, which was reset, in another size elsewhere.
fn set_up_again<R: Registers>(guest: &mut Guest<R>, queue: u32) {
    guest.queues[at(queue)] = guest.set_up_queue(queue, DriverQueue::new(ELSEWHERE, 16));
    guest.pump();
}

pub(crate) fn a_queue_is_reset_and_works_again<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for queue in 0..S::QUEUES {
        guest.start(ALL);
        for _ in 0..3 {
            subject.work(&mut guest);
            guest.regs.reset_queue(queue);
            guest.pump();
            assert!(!guest.regs.is_queue_ready(queue));
            guest.regs.reset_queue(queue);
            set_up_again(&mut guest, queue);
            subject.work(&mut guest);
        }
        assert!(!guest.is_reset_needed());
    }
}

pub(crate) fn the_reset_of_a_queue_leaves_the_others_alone<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for queue in (0..S::QUEUES).filter(|queue| *queue != S::SERVED) {
        guest.start(ALL);
        let request = subject.request(&guest);
        let served = at(S::SERVED);
        guest.regs.reset_queue(queue);
        guest.queues[served].add(&guest.mem, &request);
        guest.kick(S::SERVED);
        assert!(eventually(&mut guest, |guest| guest.used(served)).is_some());
        assert!(guest.regs.is_queue_ready(S::SERVED));
        // The registers of those that run are still frozen.
        guest.regs.set_queue_part(S::SERVED, RingPart::Desc, ELSEWHERE);
        guest.regs.set_queue_ready(S::SERVED, false);
        set_up_again(&mut guest, queue);
        subject.work(&mut guest);
    }
    assert_usable(&mut subject, &mut guest);
}

pub(crate) fn a_queue_is_silent_after_its_reset<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for queue in 0..S::QUEUES {
        guest.start(ALL);
        let request = subject.request(&guest);
        for _ in 0..5 {
            guest.queues[at(queue)].add(&guest.mem, &request);
            guest.regs.notify(queue);
        }
        guest.regs.reset_queue(queue);
        guest.regs.take_interrupts();
        let before = guest.read(0, 0x40_0000);
        subject.poke(&mut guest, queue);
        assert!(before == guest.read(0, 0x40_0000), "memory changed after a reset");
        assert_eq!(guest.regs.take_interrupts(), 0);
        assert!(!guest.is_reset_needed());
        // What was available is forgotten too: the queue begins anew.
        set_up_again(&mut guest, queue);
        assert_eq!(guest.used(at(queue)), None);
        subject.work(&mut guest);
    }
}

pub(crate) fn queues_are_reset_only_if_that_was_agreed_on<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    assert_ne!(guest.regs.device_features() & feature::RING_RESET, 0);
    guest.start(!feature::RING_RESET);
    for queue in 0..S::QUEUES {
        guest.regs.reset_queue(queue);
        assert!(guest.regs.is_queue_ready(queue));
    }
    subject.work(&mut guest);
    guest.negotiate(ALL);
    guest.set_up_queues(16);
    for queue in [S::QUEUES, 0xffff, u32::MAX] {
        guest.regs.reset_queue(queue);
    }
    // Before the start too, a reset queue has to be set up anew.
    guest.regs.reset_queue(S::SERVED);
    assert!(!guest.regs.is_queue_ready(S::SERVED));
    guest.go();
    set_up_again(&mut guest, S::SERVED);
    subject.work(&mut guest);
}

/// Which notifications the host catches.
fn caught<S: Subject, R: Registers>(guest: &Guest<R>) -> Vec<bool> {
    let is_caught = |queue| guest.doorbells.ring(guest.regs.doorbell(queue));
    (0..S::QUEUES).map(is_caught).collect()
}

pub(crate) fn doorbells_hang_while_queues_run<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    let all = at(S::QUEUES);
    for _ in 0..2 {
        guest.negotiate(ALL);
        guest.set_up_queues(16);
        assert_eq!(guest.doorbells.attached(), []);
        guest.go();
        assert_eq!(caught::<S, R>(&guest), vec![true; all]);
        assert_eq!(guest.doorbells.attached().len(), all);
        guest.regs.reset_queue(S::SERVED);
        let running: Vec<_> = (0..S::QUEUES).map(|queue| queue != S::SERVED).collect();
        assert_eq!(caught::<S, R>(&guest), running);
        set_up_again(&mut guest, S::SERVED);
        assert_eq!(caught::<S, R>(&guest), vec![true; all]);
        subject.work(&mut guest);
        guest.regs.set_status(0);
        assert_eq!(guest.doorbells.attached(), []);
    }
    guest.start(ALL);
    let doorbells = Arc::clone(&guest.doorbells);
    drop(guest);
    assert_eq!(doorbells.attached(), []);
}

pub(crate) fn a_refused_doorbell_is_heard_all_the_same<S: Subject, R: Registers>() {
    let (mut subject, device) = S::new();
    let doorbells = Arc::new(TestDoorbells::refusing());
    let mut guest = Guest::<R>::wired(Wiring { doorbells, ..Wiring::new() }, device);
    assert_usable(&mut subject, &mut guest);
    assert_eq!(caught::<S, R>(&guest), vec![false; at(S::QUEUES)]);
}
