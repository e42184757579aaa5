//! Rings that break the rules of VIRTIO 1.2 §2.7.

use std::sync::{Arc, Mutex};

use devices::virtio::spec::{desc, isr};
use devices::virtio::testing::{
    DriverQueue, Guest, RAM, Registers, Segment, read_only, write_desc, write_only,
};
use event_manager::EventManager;
use vmm_core::mem::GuestRam;

use crate::subject::{ALL, Subject, asks_for_reset, assert_usable, new};

/// Something that a driver must not do to a fresh queue.
type Offence = (&'static str, fn(&GuestRam, &mut DriverQueue));

const TABLE: u64 = 0x20_0000;

fn direct(mem: &GuestRam, queue: &mut DriverQueue, segment: Segment, next: u16) {
    queue.write_desc(mem, 0, segment, next);
    queue.make_available(mem, 0);
}

fn indirect(mem: &GuestRam, queue: &mut DriverQueue, addr: u64, len: u32, flags: u16) {
    direct(mem, queue, Segment { addr, len, flags: desc::INDIRECT | flags }, 1);
}

fn region_end(region: usize) -> u64 {
    RAM[region].base + RAM[region].size
}

const OFFENCES: &[Offence] = &[
    ("an available index ahead of the ring", |mem, q| q.set_avail_index(mem, q.size + 1)),
    ("an available index behind the ring", |mem, q| q.set_avail_index(mem, u16::MAX)),
    ("a head outside the table", |mem, q| q.make_available(mem, q.size)),
    ("a head far outside the table", |mem, q| q.make_available(mem, u16::MAX)),
    ("a next outside the table", |mem, q| {
        direct(mem, q, Segment { addr: TABLE, len: 1, flags: desc::NEXT | desc::WRITE }, q.size);
    }),
    ("a descriptor that follows itself", |mem, q| {
        direct(mem, q, Segment { addr: TABLE, len: 1, flags: desc::NEXT | desc::WRITE }, 0);
    }),
    ("an empty descriptor that follows itself", |mem, q| {
        direct(mem, q, Segment { addr: TABLE, len: 0, flags: desc::NEXT }, 0);
    }),
    ("a loop of two", |mem, q| {
        let segment = Segment { addr: TABLE, len: 1, flags: desc::NEXT };
        q.write_desc(mem, 1, segment, 0);
        direct(mem, q, segment, 1);
    }),
    ("a loop in an indirect table", |mem, q| {
        q.add_indirect(mem, TABLE, &[read_only(TABLE, 1), read_only(TABLE, 1)]);
        write_desc(mem, TABLE, 1, Segment { addr: TABLE, len: 1, flags: desc::NEXT }, 0);
    }),
    ("a buffer that crosses the end of RAM", |mem, q| {
        direct(mem, q, write_only(region_end(0) - 4, 8), 0);
    }),
    ("a buffer that crosses the end of the last RAM", |mem, q| {
        direct(mem, q, write_only(region_end(2) - 4, 8), 0);
    }),
    ("a buffer in a hole", |mem, q| direct(mem, q, write_only(region_end(1), 1), 0)),
    ("a buffer over a hole", |mem, q| {
        let start = region_end(0) - 8;
        let len = u32::try_from(RAM[1].base - start).expect("a small hole") + 8;
        direct(mem, q, read_only(start, len), 0);
    }),
    ("a buffer past all memory", |mem, q| direct(mem, q, read_only(1 << 60, 1), 0)),
    ("a buffer that wraps", |mem, q| direct(mem, q, write_only(u64::MAX, 2), 0)),
    ("more than 4 GiB", |mem, q| {
        let big = write_only(RAM[2].base, 3 << 30);
        q.add(mem, &[big, big]);
    }),
    ("a readable buffer after a writable one", |mem, q| {
        q.add(mem, &[write_only(TABLE, 1), read_only(TABLE, 20)]);
    }),
    ("an empty indirect table", |mem, q| indirect(mem, q, TABLE, 0, 0)),
    ("half an indirect descriptor", |mem, q| indirect(mem, q, TABLE, 24, 0)),
    ("an indirect table of 4 GiB", |mem, q| indirect(mem, q, TABLE, u32::MAX - 15, 0)),
    ("an indirect table with a next", |mem, q| indirect(mem, q, TABLE, 16, desc::NEXT)),
    ("an indirect table outside RAM", |mem, q| indirect(mem, q, region_end(0), 16, 0)),
    ("an indirect table that leaves RAM", |mem, q| {
        let start = region_end(0) - 16;
        write_desc(mem, start, 0, Segment { addr: TABLE, len: 1, flags: desc::NEXT }, 1);
        indirect(mem, q, start, 32, 0);
    }),
    ("an indirect table at the end of the address space", |mem, q| {
        indirect(mem, q, u64::MAX - 7, 32, 0);
    }),
    ("an indirect table in an indirect table", |mem, q| {
        let inner = Segment { addr: TABLE, len: 16, flags: desc::INDIRECT };
        q.add_indirect(mem, TABLE, &[inner]);
    }),
    ("a chain longer than any queue", |mem, q| {
        q.add_indirect(mem, TABLE, &vec![write_only(TABLE, 1); 1100]);
    }),
];

/// Has the driver commit `offence` on queue `queue` of a fresh, live device.
fn commit<S: Subject, R: Registers>(
    (subject, guest): (&mut S, &mut Guest<R>),
    queue: u32,
    offence: fn(&GuestRam, &mut DriverQueue),
) {
    S::start(guest);
    let index = usize::try_from(queue).expect("a small number");
    offence(&guest.mem, &mut guest.queues[index]);
    subject.poke(guest, queue);
}

pub(crate) fn each_broken_rule_needs_a_reset<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    for queue in 0..S::QUEUES {
        for (name, offence) in OFFENCES {
            commit((&mut subject, &mut guest), queue, *offence);
            assert!(asks_for_reset(&mut guest), "{name} on queue {queue}");
            assert!(guest.line.is_high(), "{name} on queue {queue}");
            assert_ne!(guest.regs.take_interrupts() & isr::CONFIG, 0, "{name}");
            assert_usable(&mut subject, &mut guest);
        }
    }
}

pub(crate) fn a_broken_device_stays_broken_until_reset<S: Subject, R: Registers>() {
    let (mut subject, mut guest) = new::<S, R>();
    commit((&mut subject, &mut guest), S::SERVED, OFFENCES[2].1);
    assert!(asks_for_reset(&mut guest));
    let index = usize::try_from(S::SERVED).expect("a small number");
    guest.queues[index].clear(&guest.mem);
    let request = subject.request(&guest);
    guest.queues[index].add(&guest.mem, &request);
    guest.go();
    guest.kick(S::SERVED);
    assert_eq!(guest.used(index), None);
    assert!(guest.is_reset_needed());
    assert_usable(&mut subject, &mut guest);
}

pub(crate) fn a_broken_device_does_not_stop_others<S: Subject, R: Registers>() {
    let events = Arc::new(Mutex::new(EventManager::new().expect("the host has a descriptor")));
    let (mut subject, device) = S::new();
    let mut broken = Guest::<R>::on(&events, device);
    let (mut other, device) = S::new();
    let mut sound = Guest::<R>::on(&events, device);
    sound.start(ALL);
    for (_, offence) in OFFENCES {
        commit((&mut subject, &mut broken), S::SERVED, *offence);
        assert!(asks_for_reset(&mut broken));
        other.work(&mut sound);
    }
}

/// A stream of numbers, the same in every run.
pub(crate) fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

pub(crate) fn garbage_rings_are_survived<S: Subject, R: Registers>() {
    for seed in 1..=60 {
        let (mut subject, mut guest) = new::<S, R>();
        let mut next = numbers(seed);
        S::start(&mut guest);
        for queue in 0..S::QUEUES {
            let base = 0x1_0000 * (u64::from(queue) + 1);
            let garbage: Vec<u8> = (0..0x1000).flat_map(|_| next().to_le_bytes()).collect();
            guest.write(base, &garbage);
            subject.poke(&mut guest, queue);
        }
        assert_usable(&mut subject, &mut guest);
    }
}
