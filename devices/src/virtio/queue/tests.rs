use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use virtio_queue::QueueT;
use vm_memory::VolatileSlice;
use vmm_core::mem::GuestRam;

use super::*;
use crate::virtio::spec::{desc, feature};
use crate::virtio::testing::*;
use crate::virtio::transport::{QueueSetup, RingPart};
use crate::virtio::{DeviceIo, Interrupt};

const SIZE: u16 = 8;

struct Bench {
    mem: Arc<GuestRam>,
    line: Arc<TestLine>,
    ring: Ring,
    driver: DriverQueue,
}

impl Bench {
    fn new(features: u64) -> Self {
        let (mem, line) = (ram(), Arc::new(TestLine::default()));
        let driver = DriverQueue::new(0x1_0000, SIZE);
        let mut setup = QueueSetup::new(16);
        setup.set_size(u32::from(SIZE));
        setup.set_address(RingPart::Desc, driver.desc);
        setup.set_address(RingPart::Driver, driver.driver);
        setup.set_address(RingPart::Device, driver.device);
        setup.set_ready(true, &mem);
        let io = DeviceIo {
            mem: Arc::clone(&mem),
            features,
            queues: vec![setup.queue(features & feature::EVENT_IDX != 0)],
            interrupt: Arc::new(Interrupt::new(0, Arc::clone(&line) as _)),
        };
        let ring = Ring::all(io).pop().unwrap();
        Self { mem, line, ring, driver }
    }

    fn pop(&mut self) -> Result<Option<(usize, usize)>, RingError> {
        let chain = self.ring.pop(&self.mem)?;
        Ok(chain.map(|c| (c.readable.len(), c.writable.len())))
    }

    /// Makes descriptor 0 available and pops it.
    fn walk(&mut self) -> Result<Option<(usize, usize)>, RingError> {
        self.driver.make_available(&self.mem, 0);
        self.pop()
    }

    fn desc(&self, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        self.driver.write_desc(&self.mem, index, Segment { addr, len, flags }, next);
    }
}

#[test]
fn chains_come_in_order_with_their_lengths() {
    let mut bench = Bench::new(0);
    bench.driver.add(&bench.mem, &[read_only(0x1000, 5), write_only(0x2000, 7)]);
    bench.driver.add(&bench.mem, &[read_only(0x1000, 1), read_only(0x3000, 2)]);
    assert_eq!(bench.pop(), Ok(Some((5, 7))));
    assert_eq!(bench.pop(), Ok(Some((3, 0))));
    assert_eq!(bench.pop(), Ok(None));
    bench.ring.unpop(1);
    assert_eq!(bench.pop(), Ok(Some((3, 0))));
}

#[test]
fn empty_buffers_count_for_nothing_wherever_they_are() {
    let mut bench = Bench::new(0);
    let nowhere = read_only(u64::MAX, 0);
    bench.driver.add(&bench.mem, &[nowhere, write_only(0, 0), write_only(0x1000, 3)]);
    assert_eq!(bench.pop(), Ok(Some((0, 3))));
}

#[test]
fn an_available_index_too_far_ahead_is_refused() {
    let mut bench = Bench::new(0);
    bench.driver.set_avail_index(&bench.mem, SIZE);
    assert!(bench.pop().is_ok());
    let mut bench = Bench::new(0);
    bench.driver.set_avail_index(&bench.mem, SIZE + 1);
    assert_eq!(bench.pop(), Err(RingError::AvailIndex));
}

#[test]
fn indices_outside_the_table_are_refused() {
    let mut bench = Bench::new(0);
    bench.driver.make_available(&bench.mem, SIZE);
    assert_eq!(bench.pop(), Err(RingError::Index { index: SIZE, size: SIZE }));
    bench.desc(0, 0x1000, 1, desc::NEXT, u16::MAX);
    assert_eq!(bench.walk(), Err(RingError::Index { index: u16::MAX, size: SIZE }));
}

#[test]
fn loops_end() {
    let mut bench = Bench::new(0);
    bench.desc(0, 0x1000, 1, desc::NEXT, 1);
    bench.desc(1, 0x1000, 1, desc::NEXT, 0);
    assert_eq!(bench.walk(), Err(RingError::TooLong { limit: 16 }));
    bench.desc(0, 0x1000, 0, desc::NEXT, 0);
    assert_eq!(bench.walk(), Err(RingError::TooLong { limit: 16 }));
}

#[test]
fn more_than_4_gib_is_refused() {
    let mut bench = Bench::new(0);
    let (high, len) = (RAM[2].base, 1 << 31);
    let big = write_only(high, len);
    bench.driver.add(&bench.mem, &[big, big]);
    assert_eq!(bench.pop(), Ok(Some((0, 1 << 32))));
    bench.driver.add(&bench.mem, &[big, big, write_only(high, 1)]);
    assert_eq!(bench.pop(), Err(RingError::TooBig));
}

#[test]
fn buffers_outside_ram_are_refused() {
    for region in RAM {
        let end = region.base + region.size;
        for (addr, len, right) in
            [(end - 1, 1, true), (end - 1, 2, false), (end, 1, false), (u64::MAX, 1, false)]
        {
            let mut bench = Bench::new(0);
            bench.desc(0, addr, len, 0, 0);
            assert_eq!(bench.walk().is_ok(), right, "{addr:#x} {len}");
        }
    }
    let mut bench = Bench::new(0);
    bench.desc(0, u64::MAX - 1, 4, 0, 0);
    assert_eq!(bench.walk(), Err(RingError::NotRam { addr: u64::MAX - 1, len: 4 }));
}

#[test]
fn readable_buffers_come_first() {
    let mut bench = Bench::new(0);
    bench.desc(0, 0x1000, 1, desc::WRITE | desc::NEXT, 1);
    bench.desc(1, 0x1000, 1, 0, 0);
    assert_eq!(bench.walk(), Err(RingError::Order));
}

#[test]
fn indirect_tables_work_at_any_address() {
    let mut bench = Bench::new(feature::INDIRECT_DESC);
    for table in [0x2_0000, 0x2_0001] {
        let chain = [read_only(0x1000, 2), write_only(0x2000, 3)];
        bench.driver.add_indirect(&bench.mem, table, &chain);
        assert_eq!(bench.pop(), Ok(Some((2, 3))));
    }
    // Direct descriptors may come before the one for the table.
    bench.desc(0, 0x1000, 1, desc::NEXT, 1);
    bench.desc(1, 0x2_0000, 32, desc::INDIRECT, 0);
    bench.driver.write_desc(&bench.mem, 2, read_only(0, 0), 0);
    assert!(bench.walk().is_ok());
}

#[test]
fn wrong_indirect_tables_are_refused() {
    let long = 16 * (u32::from(u16::MAX) + 1);
    for (len, flags) in [
        (0, desc::INDIRECT),
        (15, desc::INDIRECT),
        (17, desc::INDIRECT),
        (long, desc::INDIRECT),
        (u32::MAX, desc::INDIRECT),
        (16, desc::INDIRECT | desc::NEXT),
    ] {
        let mut bench = Bench::new(feature::INDIRECT_DESC);
        bench.desc(0, 0x2_0000, len, flags, 1);
        assert_eq!(bench.walk(), Err(RingError::Indirect), "{len} {flags}");
    }
    let mut bench = Bench::new(0);
    bench.desc(0, 0x2_0000, 16, desc::INDIRECT, 0);
    assert_eq!(bench.walk(), Err(RingError::Indirect), "it was not negotiated");
}

#[test]
fn a_table_in_a_table_is_refused() {
    let mut bench = Bench::new(feature::INDIRECT_DESC);
    let inner = Segment { addr: 0x3_0000, len: 16, flags: desc::INDIRECT };
    bench.driver.add_indirect(&bench.mem, 0x2_0000, &[inner]);
    assert_eq!(bench.pop(), Err(RingError::Indirect));
    bench.driver.add_indirect(&bench.mem, 0x2_0000, &[read_only(0x1000, 1), inner]);
    assert_eq!(bench.pop(), Err(RingError::Indirect));
}

#[test]
fn a_table_outside_ram_is_refused() {
    let mut bench = Bench::new(feature::INDIRECT_DESC);
    bench.desc(0, RAM[0].size - 8, 16, desc::INDIRECT, 0);
    assert!(matches!(bench.walk(), Err(RingError::NotRam { .. })));
    bench.desc(0, u64::MAX - 8, 32, desc::INDIRECT, 0);
    assert!(matches!(bench.walk(), Err(RingError::NotRam { .. })));
}

fn use_one(bench: &mut Bench) -> usize {
    bench.driver.add(&bench.mem, &[write_only(0x1000, 1)]);
    bench.pop().unwrap().unwrap();
    bench.ring.add_used(&[(0, 1)]).unwrap();
    bench.ring.signal().unwrap();
    bench.line.rises()
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    let mut bench = Bench::new(0);
    assert_eq!(use_one(&mut bench), 1);
    let mut bench = Bench::new(0);
    bench.driver.set_avail_flags(&bench.mem, 1);
    assert_eq!(use_one(&mut bench), 0);
}

#[test]
fn with_event_idx_the_driver_names_the_entry_it_waits_for() {
    let mut bench = Bench::new(feature::EVENT_IDX);
    bench.driver.set_used_event(&bench.mem, 2);
    assert_eq!(use_one(&mut bench), 0);
    assert_eq!(use_one(&mut bench), 0);
    assert_eq!(use_one(&mut bench), 1);
    // The flag is for drivers without event indices.
    let mut bench = Bench::new(feature::EVENT_IDX);
    bench.driver.set_avail_flags(&bench.mem, 1);
    assert_eq!(use_one(&mut bench), 1);
}

#[test]
fn an_event_index_in_the_middle_of_a_batch_is_not_missed() {
    for (event, rises) in [(0, 1), (1, 1), (2, 1), (3, 0), (u16::MAX, 0)] {
        let mut bench = Bench::new(feature::EVENT_IDX);
        bench.driver.set_used_event(&bench.mem, event);
        bench.ring.add_used(&[(0, 1), (1, 2), (2, 3)]).unwrap();
        bench.ring.signal().unwrap();
        assert_eq!(bench.line.rises(), rises, "{event}");
        for used in [(0, 1), (1, 2), (2, 3)] {
            assert_eq!(bench.driver.used(&bench.mem), Some(used));
        }
    }
}

#[test]
fn chains_are_used_in_any_order() {
    let mut bench = Bench::new(feature::EVENT_IDX);
    let heads: Vec<_> =
        (0..6).map(|_| bench.driver.add(&bench.mem, &[write_only(0x1000, 1)])).collect();
    for _ in &heads {
        assert_eq!(bench.pop(), Ok(Some((0, 1))));
    }
    for batch in [&[5, 0][..], &[3], &[1, 4, 2]] {
        let used: Vec<_> = batch.iter().map(|at| (heads[*at], *at)).collect();
        bench.ring.add_used(&used).unwrap();
        bench.ring.signal().unwrap();
        // The driver asked to hear of the first entry only.
        bench.ring.interrupt().take_status();
        assert_eq!(bench.line.rises(), 1);
        for (head, len) in used {
            let entry = (u32::from(head), u32::try_from(len).unwrap());
            assert_eq!(bench.driver.used(&bench.mem), Some(entry));
        }
    }
}

#[test]
fn a_queue_that_was_replaced_begins_anew() {
    let mut bench = Bench::new(0);
    for _ in 0..3 {
        bench.driver.add(&bench.mem, &[write_only(0x1000, 1)]);
    }
    assert_eq!(bench.pop(), Ok(Some((0, 1))));
    let queue = bench.ring.take_queue();
    assert!(queue.ready());
    assert_eq!(bench.pop(), Ok(None));
    // What is given back goes on where it stopped.
    assert!(!bench.ring.replace_queue(queue).ready());
    assert_eq!(bench.pop(), Ok(Some((0, 1))));
    let mut queue = bench.ring.take_queue();
    queue.set_next_avail(0);
    queue.set_next_used(0);
    bench.driver.clear(&bench.mem);
    bench.ring.replace_queue(queue);
    assert_eq!(bench.pop(), Ok(None));
    bench.driver.add(&bench.mem, &[read_only(0x1000, 2)]);
    assert_eq!(bench.pop(), Ok(Some((2, 0))));
}

#[test]
fn nothing_used_is_nothing_to_signal() {
    let mut bench = Bench::new(0);
    bench.ring.signal().unwrap();
    assert_eq!(bench.line.rises(), 0);
}

#[test]
fn a_chain_that_came_before_the_unmuting_is_seen() {
    for features in [0, feature::EVENT_IDX] {
        let mut bench = Bench::new(features);
        bench.ring.mute().unwrap();
        assert!(!bench.ring.unmute().unwrap());
        bench.ring.mute().unwrap();
        bench.driver.add(&bench.mem, &[write_only(0x1000, 1)]);
        assert!(bench.ring.unmute().unwrap());
    }
}

#[test]
fn a_failed_ring_gives_nothing_more() {
    let mut bench = Bench::new(0);
    bench.driver.make_available(&bench.mem, SIZE);
    assert!(!bench.ring.serve(|_| panic!("there is no chain")));
    assert!(bench.line.is_high());
    bench.driver.add(&bench.mem, &[write_only(0x1000, 1)]);
    assert_eq!(bench.pop(), Ok(None));
}

#[test]
fn a_slow_device_has_its_share_of_the_loop_and_comes_back() {
    let mut bench = Bench::new(0);
    for _ in 0..2 {
        bench.driver.add(&bench.mem, &[write_only(0x1000, 1)]);
    }
    let mut served = 0;
    let more = bench.ring.serve(|_| {
        let start = Instant::now();
        while start.elapsed() < ring::SHARE {}
        served += 1;
        Ok(1)
    });
    assert_eq!((more, served), (true, 1));
    while bench.ring.serve(|_| Ok(1)) {}
    assert_eq!(bench.driver.used(&bench.mem), Some((0, 1)));
    assert_eq!(bench.driver.used(&bench.mem), Some((1, 1)));
}

#[test]
fn a_driver_that_never_stops_does_not_keep_the_loop() {
    let mut bench = Bench::new(0);
    let Bench { ring, driver, mem, .. } = &mut bench;
    driver.add(mem, &[write_only(0x1000, 1)]);
    let mut served = 0;
    let more = ring.serve(|_| {
        served += 1;
        driver.add(mem, &[write_only(0x1000, 1)]);
        Ok(1)
    });
    assert!(more);
    assert!((1..=256).contains(&served));
}

proptest! {
    #[test]
    fn a_buffer_is_cut_and_copied_like_bytes(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..6),
        at in 0_usize..60,
        len in 0_usize..60,
    ) {
        let whole = parts.concat();
        let mut parts = parts;
        let mut back = Buffer::default();
        for part in &mut parts {
            back.push(VolatileSlice::from(part.as_mut_slice()));
        }
        prop_assert_eq!(back.len(), whole.len());
        let front = back.split_front(at);
        let at = at.min(whole.len());
        prop_assert_eq!((front.len(), back.len()), (at, whole.len() - at));

        let mut copy = vec![0; len];
        let copied = back.copy_to(&mut copy);
        prop_assert_eq!(copied, len.min(whole.len() - at));
        prop_assert_eq!(&copy[..copied], &whole[at..at + copied]);

        let new = vec![0x55; len];
        prop_assert_eq!(front.copy_from(&new), len.min(at));
        let mut copy = vec![0; at];
        front.copy_to(&mut copy);
        let mut wanted = whole[..at].to_vec();
        wanted[..len.min(at)].fill(0x55);
        prop_assert_eq!(copy, wanted);
    }
}
