//! A driver on one thread, the event loop on another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use devices::virtio::spec::{desc, feature};
use devices::virtio::testing::{DriverQueue, Guest, PATIENCE, Registers, Segment, SharedLoop};
use vm_memory::{Bytes, GuestAddress};
use vmm_core::mem::GuestRam;

use crate::rings::numbers;
use crate::subject::{ALL, Subject, assert_usable, new};

/// A thread that runs an event loop until it is dropped.
struct LoopThread {
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl LoopThread {
    fn start(events: SharedLoop) -> Self {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, turned) = (Arc::clone(&stop), Arc::clone(&turns));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let mut events = events.lock().expect("no test panicked");
                events.run_with_timeout(1).expect("the loop can wait");
                turned.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stop, turns, thread: Some(thread) }
    }

    /// Waits until the loop has surely seen what happened before.
    fn wait_for_a_turn(&self) {
        let now = self.turns.load(Ordering::SeqCst);
        while self.turns.load(Ordering::SeqCst) < now + 2 {
            thread::yield_now();
        }
    }
}

impl Drop for LoopThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let result = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(result, Some(Ok(()))), "the loop panicked");
        }
    }
}

pub(crate) fn a_reset_ends_what_the_loop_does<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    {
        let thread = LoopThread::start(guest.events());
        for round in 0..100 {
            guest.negotiate(ALL);
            guest.set_up_queues(256);
            let request = subject.request(&guest);
            guest.set_live();
            let queue = usize::try_from(S::SERVED).expect("a small number");
            for _ in 0..round {
                // The loop may be late.
                if !guest.queues[queue].has_room(&guest.mem, request.len()) {
                    break;
                }
                guest.queues[queue].add(&guest.mem, &request);
                guest.regs.notify(S::SERVED);
            }
            guest.regs.set_status(0);
            let before = guest.read(0, 0x40_0000);
            thread.wait_for_a_turn();
            assert!(before == guest.read(0, 0x40_0000), "memory changed after a reset");
            assert!(!guest.line.is_high());
        }
    }
    assert_usable(&mut subject, &mut guest);
}

/// Writes what a driver writes, again and again, all of it wrong in ways that
/// are likely to get far.
fn vandalize(mem: &GuestRam, queues: &[DriverQueue], seed: u64) {
    let mut next = numbers(seed);
    let mut below = |limit: u64| next() % limit;
    for _ in 0..20_000 {
        for queue in queues {
            let size = u64::from(queue.size);
            let flags = [0, desc::NEXT, desc::WRITE, desc::NEXT | desc::WRITE, desc::INDIRECT];
            let segment = Segment {
                addr: [below(0x40_0000), 0x20_0000, 0x3f_fff0, u64::MAX - 3][short(below(4))],
                len: [16, 1, 513, 4096][short(below(4))],
                flags: flags[short(below(5))],
            };
            let index = u16::try_from(below(size)).expect("below a 16-bit size");
            queue.write_desc(mem, index, segment, (index + 1) % queue.size);
            let avail = u16::try_from(below(0x1_0000)).expect("16 bits");
            queue.set_avail_index(mem, avail);
            let word = GuestAddress(0x20_0000 + below(0x1000));
            mem.write_obj(below(5), word).expect("the address is in RAM");
        }
    }
}

fn short(value: u64) -> usize {
    value.try_into().expect("a small number")
}

pub(crate) fn a_driver_may_rewrite_everything_at_any_time<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for seed in 1..=4 {
        guest.start(ALL);
        let (mem, queues) = (Arc::clone(&guest.mem), guest.queues.clone());
        let events = LoopThread::start(guest.events());
        let vandal = thread::spawn(move || vandalize(&mem, &queues, seed));
        while !vandal.is_finished() {
            for queue in 0..S::QUEUES {
                guest.regs.notify(queue);
            }
            if guest.is_reset_needed() {
                guest.regs.take_interrupts();
                guest.negotiate(ALL);
                guest.set_up_queues(256);
                guest.set_live();
            }
        }
        vandal.join().expect("the vandal does not panic");
        guest.regs.set_status(0);
        drop(events);
        assert_usable(&mut subject, &mut guest);
    }
}

/// Drives the device by the rules of notification suppression: a kick that
/// was not wanted is not made, an interrupt that was not asked for not awaited.
pub(crate) fn no_notification_is_lost<S: Subject, R: Registers>() {
    for features in [feature::VERSION_1, feature::VERSION_1 | feature::EVENT_IDX] {
        let (mut subject, mut guest) = new::<S, R>();
        guest.start(features);
        let request = subject.request(&guest);
        let mut next = numbers(features);
        {
            let _thread = LoopThread::start(guest.events());
            for _ in 0..1000 {
                let batch = u16::try_from(next() % 8 + 1).expect("a small number");
                round_trip(&mut guest, S::SERVED, &request, batch, features);
            }
        }
        assert_usable(&mut subject, &mut guest);
    }
}

/// Makes `batch` requests and waits until all are used.
fn round_trip<R: Registers>(
    guest: &mut Guest<R>,
    queue: u32,
    request: &[Segment],
    batch: u16,
    features: u64,
) {
    let mem = Arc::clone(&guest.mem);
    let index = usize::try_from(queue).expect("a small number");
    for _ in 0..batch {
        guest.queues[index].add(&mem, request);
    }
    if guest.queues[index].is_kick_wanted(&mem, batch, features & feature::EVENT_IDX != 0) {
        guest.regs.notify(queue);
    }
    let mut left = batch;
    while left > 0 {
        if guest.queues[index].used(&mem).is_some() {
            left -= 1;
            continue;
        }
        guest.queues[index].ask_for_next(&mem);
        if guest.queues[index].used(&mem).is_some() {
            left -= 1;
            continue;
        }
        assert!(guest.line.wait(PATIENCE), "a notification was lost");
        guest.regs.take_interrupts();
    }
}
