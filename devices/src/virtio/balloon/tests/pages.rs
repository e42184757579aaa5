//! Pages that go back to the host.

use super::*;

#[test]
fn inflated_pages_are_gone_and_others_stay() {
    let mut bench = Bench::new(0);
    bench.fill(8);
    bench.list(INFLATE, &[page(6), page(1), page(2), page(1)]);
    let kept = [true, false, false, true, true, true, false, true];
    assert_eq!(bench.kept(8), kept);
    assert_eq!(bench.guest.regs.take_interrupts(), isr::QUEUE);
    // They can be touched again at once.
    bench.list(DEFLATE, &[page(1)]);
    assert_eq!(bench.kept(8), kept);
    bench.fill(8);
    assert_eq!(bench.kept(8), [true; 8]);
}

#[test]
fn pages_outside_ram_are_left_out() {
    let mut bench = Bench::new(0);
    bench.fill(2);
    // Past the first region, past all, over the end of the second.
    bench.list(INFLATE, &[0x400, u32::MAX, u32::MAX - 1, 0x8ff, 0x900, page(1)]);
    assert_eq!(bench.kept(2), [true, false]);
    assert!(!bench.guest.is_reset_needed());
}

#[test]
fn the_rings_themselves_may_be_given_away() {
    let mut bench = Bench::new(0);
    let all: Vec<u32> = (0..0x400).collect();
    let bytes: Vec<u8> = all.iter().flat_map(|page| page.to_le_bytes()).collect();
    bench.guest.write(LISTS, &bytes);
    bench.guest.queues[INFLATE].add(&bench.guest.mem, &[read_only(LISTS, 4096)]);
    bench.guest.regs.notify(0);
    bench.guest.turn(100);
    assert_eq!(bench.guest.read(LISTS, 4096), [0; 4096]);
    bench.guest.start(u64::MAX);
    bench.fill(1);
    bench.list(INFLATE, &[page(0)]);
    assert_eq!(bench.kept(1), [false]);
}

#[test]
fn a_list_may_be_cut_anywhere_and_end_in_the_middle_of_a_number() {
    let mut bench = Bench::new(feature::INDIRECT_DESC);
    bench.fill(3);
    let bytes: Vec<u8> = (0..3).flat_map(|index| page(index).to_le_bytes()).collect();
    bench.guest.write(LISTS, &bytes);
    let piece = |at: u64, len| read_only(LISTS + at, len);
    // The last number lacks a byte.
    bench.run(INFLATE, &[piece(0, 1), piece(1, 5), piece(6, 5)]);
    assert_eq!(bench.kept(3), [false, false, true]);
    bench.run(INFLATE, &[read_only(LISTS, 3)]);
    bench.run(INFLATE, &[write_only(LISTS, 12)]);
    assert_eq!(bench.kept(3), [false, false, true]);
}

#[test]
fn reported_pages_are_gone_but_for_those_reported_in_part() {
    let mut bench = Bench::new(F_STATS_VQ | F_PAGE_REPORTING);
    bench.fill(8);
    let at = |index: u64, len| write_only(PAGES + index * 4096, len);
    bench.run(REPORT, &[at(0, 4096), at(3, 8192), write_only(PAGES + 6 * 4096 + 1, 8191)]);
    assert_eq!(bench.kept(8), [false, true, true, false, false, true, true, false]);
    // What the device may only read is no report.
    bench.run(REPORT, &[read_only(PAGES + 4096, 4096)]);
    assert!(bench.kept(8)[1]);
}

#[test]
fn without_statistics_the_report_queue_is_the_third() {
    let mut bench = Bench::new(F_PAGE_REPORTING);
    bench.fill(1);
    bench.run(STATS, &[write_only(PAGES, 4096)]);
    assert_eq!(bench.kept(1), [false]);
    // The fourth has no meaning.
    bench.guest.queues[REPORT].add(&bench.guest.mem, &[write_only(PAGES, 4096)]);
    bench.guest.kick(3);
    assert_eq!(bench.guest.used(REPORT), None);
}

#[test]
fn a_guest_that_poisons_its_free_pages_keeps_them() {
    let mut bench = Bench::new(F_STATS_VQ | F_PAGE_REPORTING | F_PAGE_POISON);
    for (poison, kept) in [(0xaaaa_aaaa, true), (0, false), (1, true)] {
        bench.fill(1);
        bench.set_config(12, poison);
        bench.run(REPORT, &[write_only(PAGES, 4096)]);
        assert_eq!(bench.kept(1), [kept], "{poison:#x}");
    }
    // One that does not say so relies on nothing.
    let mut bench = Bench::new(F_STATS_VQ | F_PAGE_REPORTING);
    bench.fill(1);
    bench.set_config(12, 1);
    bench.run(REPORT, &[write_only(PAGES, 4096)]);
    assert_eq!(bench.kept(1), [false]);
}

/// Two devices on one loop: while one has much to give back, the other works.
#[test]
fn a_long_list_and_a_huge_report_are_done_in_turns() {
    let events = Arc::new(Mutex::new(EventManager::new().unwrap()));
    let new = || {
        let mut guest = Guest::<MmioRegisters>::on(&events, Balloon::new(ALL).unwrap());
        guest.start(feature::VERSION_1 | F_STATS_VQ | F_PAGE_REPORTING);
        guest
    };
    let (mut busy, mut other) = (new(), new());
    // A list of a million numbers, each twice a page apart from the next.
    let numbers = (0..0x10_0000_u32).map(|n| 0x10_0000 + n * 2 % 0xb_0000);
    let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    busy.write(4 << 30, &bytes);
    for queue in [INFLATE, REPORT] {
        let segment = match queue {
            INFLATE => read_only(4 << 30, 4 << 20),
            _ => write_only((4 << 30) + (16 << 20), 2 << 30),
        };
        busy.queues[queue].add(&busy.mem, &[segment]);
        busy.regs.notify(queue.try_into().unwrap());
    }
    busy.turn(1);
    assert_eq!(busy.used(INFLATE), None, "all was done in one turn");
    let head = other.queues[DEFLATE].add(&other.mem, &[read_only(LISTS, 4)]);
    other.regs.notify(1);
    other.turn(4);
    assert_eq!(other.used(DEFLATE), Some((head.into(), 0)));
    busy.pump();
    assert_eq!(busy.used(INFLATE), Some((0, 0)));
    assert_eq!(busy.used(REPORT), Some((0, 0)));
}

#[test]
fn a_chain_done_in_part_is_begun_anew_after_a_reset() {
    let mut bench = Bench::new(0);
    let many: Vec<u8> = (0..0x4_0000_u32).flat_map(|n| (0x10_0000 + 2 * n).to_le_bytes()).collect();
    bench.guest.write(4 << 30, &many);
    bench.guest.queues[INFLATE].add(&bench.guest.mem, &[read_only(4 << 30, 1 << 20)]);
    bench.guest.regs.notify(0);
    bench.guest.turn(1);
    bench.guest.start(feature::VERSION_1);
    bench.fill(1);
    bench.list(INFLATE, &[page(0)]);
    assert_eq!(bench.kept(1), [false]);
}

proptest! {
    /// The runs are the pages, each once, and no two of them touch.
    #[test]
    fn runs_are_the_pages(pages in prop::collection::vec(0_u32..300, 0..256), high: bool) {
        let offset = if high { u32::MAX - 299 } else { 0 };
        let mut numbers: Vec<u32> = pages.iter().map(|page| page + offset).collect();
        let mut wanted = numbers.clone();
        let mut seen = Vec::new();
        let mut last = None;
        for_each_run(&mut numbers, |run| {
            assert!(last.is_none_or(|last| last < run.start) && run.start < run.end);
            last = Some(run.end);
            seen.extend((run.start >> 12..run.end >> 12).map(|page| u32::try_from(page).unwrap()));
        });
        wanted.sort_unstable();
        wanted.dedup();
        prop_assert_eq!(seen, wanted);
    }

    /// Whatever the numbers, exactly those pages are gone.
    #[test]
    fn any_list_empties_its_pages(indices in prop::collection::vec(0_usize..40, 0..300)) {
        let mut bench = Bench::new(0);
        bench.fill(40);
        let list: Vec<u32> = indices.iter().map(|index| page(*index)).collect();
        bench.list(INFLATE, &list);
        let wanted: Vec<bool> = (0..40).map(|index| !indices.contains(&index)).collect();
        prop_assert_eq!(bench.kept(40), wanted);
    }
}
