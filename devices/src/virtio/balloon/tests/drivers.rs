//! What driver and host tell each other.

use super::*;

fn stats(entries: &[(u16, u64)]) -> Vec<u8> {
    let bytes = |(tag, value): &(u16, u64)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
    entries.iter().flat_map(bytes).collect()
}

impl Bench {
    /// Leaves statistics in a chain of the queue; its head.
    fn leave(&mut self, entries: &[(u16, u64)]) -> u32 {
        let bytes = stats(entries);
        self.guest.write(LISTS, &bytes);
        let segment = read_only(LISTS, u32::try_from(bytes.len()).unwrap());
        let head = self.guest.queues[STATS].add(&self.guest.mem, &[segment]);
        self.guest.kick(2);
        head.into()
    }
}

#[test]
fn queues_and_features_are_those_that_were_asked_for() {
    let all = Balloon::new(ALL).unwrap();
    assert_eq!((all.info().id, all.info().queue_sizes.len()), (ID_BALLOON, 4));
    let bits = F_STATS_VQ | F_DEFLATE_ON_OOM | F_PAGE_REPORTING | F_PAGE_POISON;
    assert_eq!(all.info().features, bits);
    let plain = Balloon::new(BalloonOptions::default()).unwrap();
    assert_eq!((plain.info().features, plain.info().queue_sizes.len()), (F_STATS_VQ, 3));
}

#[test]
fn the_driver_learns_of_a_target_and_says_how_far_it_has_come() {
    let options = BalloonOptions { size: (5 << 20) + 1, ..ALL };
    let device = Balloon::new(options).unwrap();
    let handle = device.handle();
    let mut guest = Guest::mmio(device);
    guest.start(feature::VERSION_1);
    let mut bench = Bench { guest, handle };
    assert_eq!(bench.config(), [1280, 0, 0, 0]);
    assert_eq!((bench.handle.target(), bench.handle.actual()), (5 << 20, 0));
    bench.set_config(4, 256);
    assert_eq!((bench.config(), bench.handle.actual()), ([1280, 256, 0, 0], 1 << 20));

    assert_eq!(bench.guest.regs.take_interrupts(), 0);
    bench.handle.set_target(1 << 30);
    assert_eq!(bench.guest.regs.take_interrupts(), isr::CONFIG);
    assert_eq!((bench.config()[0], bench.handle.target()), (1 << 18, 1 << 30));
    bench.handle.set_target(u64::MAX);
    assert_eq!(bench.config()[0], u32::MAX);
    // The target is the host's, and stays through a reset; the rest does not.
    bench.set_config(0, 7);
    bench.set_config(12, 7);
    assert_eq!(bench.config(), [u32::MAX, 256, 0, 7]);
    bench.guest.regs.set_status(0);
    assert_eq!(bench.config(), [u32::MAX, 0, 0, 0]);
    bench.handle.set_target(4096);
    assert_eq!((bench.config()[0], bench.guest.regs.take_interrupts()), (1, 0));
}

#[test]
fn the_configuration_is_written_at_any_offset() {
    let mut bench = Bench::new(0);
    bench.guest.regs.write_config(5, &[0x12]);
    bench.guest.regs.write_config(14, &[0x34, 0x56, 0x78, 0x9a]);
    bench.guest.regs.write_config(16, &[1; 8]);
    bench.guest.regs.write_config(100, &[1; 8]);
    assert_eq!(bench.config(), [0, 0x1200, 0, 0x5634_0000]);
}

#[test]
fn statistics_are_kept_and_asked_for() {
    let mut bench = Bench::new(F_STATS_VQ);
    assert_eq!(bench.handle.stats(), Stats::default());
    let first = bench.leave(&[(S_MEMFREE, 100), (S_MEMTOT, 200), (77, 1), (S_SWAP_IN, 3)]);
    let known =
        Stats { free: Some(100), total: Some(200), swapped_in: Some(3), ..Stats::default() };
    assert_eq!(bench.handle.stats(), known);
    // The chain stays with the device until somebody asks.
    assert_eq!(bench.guest.used(STATS), None);
    bench.handle.ask_for_stats();
    assert_eq!(bench.guest.used(STATS), Some((first, 0)));
    assert_eq!(bench.guest.regs.take_interrupts(), isr::QUEUE);
    assert_eq!(bench.handle.stats(), known);
    bench.handle.ask_for_stats();
    assert_eq!(bench.guest.used(STATS), None);
    bench.leave(&[(S_AVAIL, 5), (S_CACHES, 6), (S_MAJFLT, 7), (S_MINFLT, 8), (S_SWAP_OUT, 9)]);
    let known = Stats {
        available: Some(5),
        caches: Some(6),
        major_faults: Some(7),
        minor_faults: Some(8),
        swapped_out: Some(9),
        ..Stats::default()
    };
    assert_eq!(bench.handle.stats(), known);
}

#[test]
fn a_driver_that_leaves_more_than_one_chain_gets_the_others_back() {
    let mut bench = Bench::new(F_STATS_VQ);
    let heads: Vec<u32> = (0..40).map(|n| bench.leave(&[(S_MEMFREE, n)])).collect();
    for head in &heads[..39] {
        assert_eq!(bench.guest.used(STATS), Some((*head, 0)));
    }
    assert_eq!(bench.guest.used(STATS), None);
    assert_eq!(bench.handle.stats().free, Some(39));
}

#[test]
fn a_chain_that_is_kept_is_not_lost_by_a_stop() {
    let mut device = Balloon::new(ALL).unwrap();
    let handle = device.handle();
    let wiring = Wiring::new();
    let mem = Arc::clone(&wiring.mem);
    let mut queue = DriverQueue::new(0x1_0000, 16);
    queue.clear(&mem);
    queue.add(&mem, &[read_only(LISTS, 20)]);
    let live = |queue: &DriverQueue| {
        let mut setup = Queue::new(16).unwrap();
        setup.set_size(16);
        setup.try_set_desc_table_address(GuestAddress(queue.desc)).unwrap();
        setup.try_set_avail_ring_address(GuestAddress(queue.driver)).unwrap();
        setup.try_set_used_ring_address(GuestAddress(queue.device)).unwrap();
        setup.set_ready(true);
        setup
    };
    let idle = || Queue::new(16).unwrap();
    let io = DeviceIo {
        mem: Arc::clone(&mem),
        features: feature::VERSION_1 | F_STATS_VQ,
        queues: vec![idle(), idle(), live(&queue), idle()],
        interrupt: Arc::new(Interrupt::new(0, wiring.line)),
    };
    let mut events = EventManager::<Subscriber>::new().unwrap();
    events.add_subscriber(device.subscriber().unwrap());
    device.start(io).unwrap();
    while events.run_with_timeout(0).unwrap() > 0 {}
    assert_eq!(handle.stats().swapped_in, Some(0));
    let queues = device.stop();
    assert_eq!(queues.iter().map(|queue| queue.next_avail()).collect::<Vec<_>>(), [0; 4]);
    assert_eq!(queue.used(&mem), None);
}

#[test]
fn what_a_host_says_of_statistics_fits_a_line() {
    let said = |stats: Stats| stats.to_string();
    let stats = Stats {
        free: Some(100 << 20),
        available: Some(200 << 20),
        total: Some(512 << 20),
        ..Stats::default()
    };
    assert_eq!(said(stats), "100 MiB free and 200 MiB available of 512 MiB");
    let unknown = "an unknown amount free and an unknown amount available of an unknown amount";
    assert_eq!(said(Stats::default()), unknown);
}

proptest! {
    /// Any bytes are statistics, and the last value of a tag counts.
    #[test]
    fn any_statistics_are_read(
        entries in prop::collection::vec((0_u16..12, any::<u64>()), 0..64),
        rest in prop::collection::vec(any::<u8>(), 0..9),
        cut in 0_u32..700,
    ) {
        let mut bench = Bench::new(F_STATS_VQ | feature::INDIRECT_DESC);
        let bytes = [stats(&entries), rest].concat();
        bench.guest.write(LISTS, &bytes);
        let len = u32::try_from(bytes.len()).unwrap();
        let cut = cut.min(len);
        let segments = [read_only(LISTS, cut), read_only(LISTS + u64::from(cut), len - cut)];
        bench.guest.queues[STATS].add(&bench.guest.mem, &segments);
        bench.guest.kick(2);
        let last = |tag| entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
        let known = bench.handle.stats();
        prop_assert_eq!(known.free, last(S_MEMFREE));
        prop_assert_eq!(known.total, last(S_MEMTOT));
        prop_assert_eq!(known.minor_faults, last(S_MINFLT));
        prop_assert_eq!(known.caches, last(S_CACHES));
    }
}
