//! Discard and write-zeroes.

use super::*;
use crate::virtio::blk::config::{MAX_DISCARD_SECTORS, MAX_ZEROES_SECTORS};
use crate::virtio::blk::request::{Extent, Kind, MAX_SEGMENTS, Request, Segment};
use crate::virtio::queue::Buffer;
use proptest::prelude::*;
use vm_memory::VolatileSlice;

const FEATURES: u64 = blk::F_FLUSH | blk::F_DISCARD | blk::F_WRITE_ZEROES;

/// A segment as it lies in memory.
fn segment(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
}

impl Bench {
    fn change(&mut self, kind: u32, segments: &[Vec<u8>]) -> u8 {
        let (len, status) = self.request(kind, 0, &segments.concat(), 0);
        assert_eq!(len, 1);
        status
    }
}

#[test]
fn discards_reach_the_disk_in_order() {
    let mut bench = Bench::new(false, FEATURES);
    let segments = [segment(1, 2, 0), segment(9, 0, 0), segment(60, 4, 0), segment(5, 1, 0)];
    assert_eq!(bench.change(blk::T_DISCARD, &segments), blk::S_OK);
    assert_eq!(bench.disk.discarded(), [(512, 1024), (60 * 512, 2048), (5 * 512, 512)]);
    assert_eq!(bench.disk.flushes(), 0);
    bench.assert_works();
}

#[test]
fn zeroes_are_written_with_and_without_unmap() {
    for flags in [0, blk::FLAG_UNMAP] {
        let mut bench = Bench::new(false, FEATURES);
        let segments = [segment(2, 3, flags), segment(63, 1, flags)];
        assert_eq!(bench.change(blk::T_WRITE_ZEROES, &segments), blk::S_OK);
        let mut wanted = pattern();
        wanted[2 * 512..5 * 512].fill(0);
        wanted[63 * 512..].fill(0);
        assert_eq!(bench.disk.bytes(), wanted);
        bench.assert_works();
    }
}

#[test]
fn a_driver_that_did_not_ask_for_them_cannot_use_them() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    for kind in [blk::T_DISCARD, blk::T_WRITE_ZEROES] {
        assert_eq!(bench.change(kind, &[segment(0, 1, 0)]), blk::S_UNSUPP);
    }
    assert_eq!(bench.disk.bytes(), pattern());
    assert!(bench.disk.discarded().is_empty());
}

#[test]
fn a_read_only_disk_offers_neither() {
    let mut bench = Bench::new(true, FEATURES);
    let offered = bench.guest.regs.device_features();
    assert_eq!(offered & (blk::F_DISCARD | blk::F_WRITE_ZEROES | blk::F_CONFIG_WCE), 0);
    for kind in [blk::T_DISCARD, blk::T_WRITE_ZEROES] {
        assert_eq!(bench.change(kind, &[segment(0, 1, 0)]), blk::S_UNSUPP);
    }
    assert_eq!(bench.disk.bytes(), pattern());
}

#[test]
fn unknown_flags_are_unsupported_and_nothing_is_done() {
    let mut bench = Bench::new(false, FEATURES);
    for flags in [blk::FLAG_UNMAP, 2, 1 << 31, u32::MAX] {
        let segments = [segment(0, 8, 0), segment(8, 8, flags)];
        assert_eq!(bench.change(blk::T_DISCARD, &segments), blk::S_UNSUPP);
    }
    for flags in [2, 3, 1 << 31, u32::MAX] {
        let segments = [segment(0, 8, blk::FLAG_UNMAP), segment(8, 8, flags)];
        assert_eq!(bench.change(blk::T_WRITE_ZEROES, &segments), blk::S_UNSUPP);
    }
    assert_eq!(bench.disk.bytes(), pattern());
    assert!(bench.disk.discarded().is_empty());
    bench.assert_works();
}

#[test]
fn segments_past_the_end_are_refused_and_nothing_is_done() {
    let mut bench = Bench::new(false, FEATURES);
    let wrong = [
        (64, 1),
        (63, 2),
        (0, 65),
        (0, u32::MAX),
        (1 << 55, 1),
        ((1 << 55) - 1, 1),
        (u64::MAX, 1),
        (u64::MAX, u32::MAX),
        (u64::MAX - 1, 2),
    ];
    for (sector, sectors) in wrong {
        for kind in [blk::T_DISCARD, blk::T_WRITE_ZEROES] {
            let segments = [segment(0, 8, 0), segment(sector, sectors, 0)];
            assert_eq!(bench.change(kind, &segments), blk::S_IOERR, "{sector:#x}, {sectors}");
        }
    }
    assert_eq!(bench.disk.bytes(), pattern());
    assert!(bench.disk.discarded().is_empty());
    bench.assert_works();
}

#[test]
fn more_than_was_announced_is_refused() {
    let disk = MemoryDisk::new(vec![1; 512 * 8], false);
    let size = u64::from(MAX_DISCARD_SECTORS) * 1024;
    for (kind, max) in
        [(Kind::Discard, MAX_DISCARD_SECTORS), (Kind::WriteZeroes, MAX_ZEROES_SECTORS)]
    {
        for (sectors, is_planned) in [(max, true), (max + 1, false)] {
            let planned = planned(&disk, size, kind, &segment(0, sectors, 0));
            assert_eq!(planned, is_planned, "{kind:?} of {sectors}");
        }
    }
    let max = usize::try_from(MAX_SEGMENTS).unwrap();
    assert!(planned(&disk, size, Kind::Discard, &segment(0, 1, 0).repeat(max)));
    assert!(!planned(&disk, size, Kind::Discard, &segment(0, 1, 0).repeat(max + 1)));
}

/// Whether a disk that claims to have `size` bytes would carry out a request.
fn planned(disk: &MemoryDisk, size: u64, kind: Kind, outgoing: &[u8]) -> bool {
    use crate::virtio::blk::plan::{Agreed, Plan, plan};
    let clock = Box::new(std::time::Instant::now);
    let disk = disk::Disk::new(Arc::new(disk.clone()), &options(), clock);
    disk.set_capacity(size);
    let mut outgoing = outgoing.to_vec();
    let mut buffer = Buffer::default();
    buffer.push(VolatileSlice::from(&mut outgoing[..]));
    let request = Request {
        kind,
        sector: 0,
        outgoing: buffer,
        incoming: Buffer::default(),
        status: vm_memory::GuestAddress(0),
    };
    match plan(&disk, Agreed(FEATURES), request) {
        Plan::Do(..) => true,
        Plan::Answer(status, _) => {
            assert_eq!(status, blk::S_IOERR);
            false
        }
    }
}

#[test]
fn half_a_segment_or_none_is_refused() {
    let mut bench = Bench::new(false, FEATURES);
    for kind in [blk::T_DISCARD, blk::T_WRITE_ZEROES] {
        for len in [0, 1, 15, 17, 31] {
            assert_eq!(bench.request(kind, 0, &vec![0; len], 0), (1, blk::S_IOERR), "{len}");
        }
        assert_eq!(bench.change(kind, &[segment(0, 0, 0)]), blk::S_OK);
    }
    assert_eq!(bench.disk.bytes(), pattern());
    bench.assert_works();
}

#[test]
fn a_list_may_be_split_at_every_byte() {
    let mut bench = Bench::new(false, FEATURES);
    let segments = [segment(3, 1, 0), segment(7, 1, 1), segment(11, 1, 0)].concat();
    let len = 16 + len32(segments.len());
    for at in 0..=len {
        bench.put(blk::T_WRITE_ZEROES, u64::MAX, &segments, 0);
        let out = [read_only(OUT, at), read_only(OUT + u64::from(at), len - at), write_only(IN, 1)];
        assert_eq!(bench.run(&out), (1, blk::S_OK));
        assert_eq!(bench.request(blk::T_IN, 3, &[], 512), (513, blk::S_OK));
        assert_eq!(bench.guest.read(IN, 512), [0; 512]);
        assert_eq!(bench.request(blk::T_OUT, 3, &[9; 512], 0), (1, blk::S_OK));
    }
}

#[test]
fn the_first_failure_ends_the_list() {
    let mut bench = Bench::new(false, FEATURES);
    bench.disk.inject([Fault::None, Fault::Os(libc::ENOSPC)]);
    let segments = [segment(0, 1, 0), segment(1, 1, 0), segment(2, 1, 0)];
    assert_eq!(bench.change(blk::T_DISCARD, &segments), blk::S_IOERR);
    assert_eq!(bench.disk.discarded(), [(0, 512)]);
    bench.assert_works();
}

#[test]
fn without_a_cache_changes_are_stable_too() {
    let mut bench = Bench::new(false, blk::F_DISCARD | blk::F_WRITE_ZEROES);
    let segments = [segment(0, 1, 0), segment(1, 1, 0)];
    assert_eq!(bench.change(blk::T_WRITE_ZEROES, &segments), blk::S_OK);
    assert_eq!(bench.disk.flushes(), 1);
    bench.disk.inject([Fault::None, Fault::None, Fault::Os(libc::EIO)]);
    assert_eq!(bench.change(blk::T_WRITE_ZEROES, &segments), blk::S_IOERR);
}

proptest! {
    #[test]
    fn any_list_is_read_as_it_is_written(
        list in prop::collection::vec((any::<u64>(), any::<u32>(), any::<u32>()), 1..33),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes: Vec<u8> = list.iter().flat_map(|(a, b, c)| segment(*a, *b, *c)).collect();
        let (front, back) = {
            let at = cut.index(bytes.len());
            bytes.split_at_mut(at)
        };
        let mut buffer = Buffer::default();
        buffer.push(VolatileSlice::from(front));
        buffer.push(VolatileSlice::from(back));
        let wanted: Vec<_> = list
            .iter()
            .map(|(sector, sectors, flags)| Segment { sector: *sector, sectors: *sectors, flags: *flags })
            .collect();
        prop_assert_eq!(Segment::list(&buffer), Some(wanted));
    }

    #[test]
    fn an_extent_lies_on_the_disk_or_is_none(sector: u64, len: u64, sectors in 0_u64..1 << 50) {
        let size = sectors * 512;
        match Extent::on_disk(sector, len, size) {
            Some(Extent { offset, len: same }) => {
                prop_assert_eq!((u128::from(sector) * 512, len), (u128::from(offset), same));
                prop_assert!(u128::from(offset) + u128::from(len) <= u128::from(size));
            }
            None => prop_assert!(
                len % 512 != 0 || u128::from(sector) * 512 + u128::from(len) > u128::from(size)
            ),
        }
    }
}
