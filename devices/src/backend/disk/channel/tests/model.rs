//! Random operations, many in flight, against a model in memory.

use proptest::prelude::*;

use super::patchwork::{BLOCK, Patchwork};
use super::*;

/// Operations in flight together, each in a part of the disk of its own.
const LANES: u64 = 8;
/// Bytes of such a part.
const LANE: u64 = 8 * BLOCK;
/// Where each lane's memory begins, and how much it has.
const MEMORY: u64 = 0x1_0000;

#[derive(Clone, Debug)]
enum Act {
    Read { sector: u64, count: u64, cut: u64 },
    Write { sector: u64, count: u64, cut: u64, byte: u8 },
    Discard { sector: u64, count: u64 },
    Zero { sector: u64, count: u64, unmap: bool },
    Flush,
}

fn act() -> impl Strategy<Value = Act> {
    let range = || (0..LANE / 512).prop_flat_map(|sector| (Just(sector), 0..=LANE / 512 - sector));
    prop_oneof![
        4 => (range(), any::<u64>())
            .prop_map(|((sector, count), cut)| Act::Read { sector, count, cut }),
        6 => (range(), any::<u64>(), any::<u8>())
            .prop_map(|((sector, count), cut, byte)| Act::Write { sector, count, cut, byte }),
        1 => range().prop_map(|(sector, count)| Act::Discard { sector, count }),
        1 => (range(), any::<bool>())
            .prop_map(|((sector, count), unmap)| Act::Zero { sector, count, unmap }),
        1 => Just(Act::Flush),
    ]
}

/// Lane `lane`'s memory for `len` bytes, in two pieces that are not in order.
fn pieces(lane: u64, len: u64, cut: u64) -> Vec<(u64, usize)> {
    let base = MEMORY * (lane + 1);
    let cut = cut % (len + 1);
    let size = |len: u64| usize::try_from(len).unwrap();
    vec![(base + (len - cut), size(cut)), (base, size(len - cut))]
        .into_iter()
        .filter(|(_, len)| *len > 0)
        .collect()
}

fn span(offset: u64, len: u64) -> std::ops::Range<usize> {
    usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap()
}

/// Starts an act of a lane and tells the model; a read's result is checked
/// once it has ended.
fn begin(bench: &mut Bench, model: &mut [u8], lane: u64, act: &Act) {
    let token = u16::try_from(lane).unwrap();
    let at = |sector: u64| lane * LANE + sector * 512;
    match *act {
        Act::Read { sector, count, cut } => {
            bench.start(token, Access::Read, &pieces(lane, count * 512, cut), at(sector));
        }
        Act::Write { sector, count, cut, byte } => {
            let pieces = pieces(lane, count * 512, cut);
            let bytes: Vec<u8> =
                (0..count * 512).map(|n| byte.wrapping_add(n.to_le_bytes()[0])).collect();
            let ram = Arc::clone(&bench.ram);
            assert_eq!(buffer(&ram, &pieces).copy_from(&bytes), bytes.len());
            model[span(at(sector), count * 512)].copy_from_slice(&bytes);
            bench.start(token, Access::Write, &pieces, at(sector));
        }
        Act::Discard { sector, count } => {
            let (offset, len) = (at(sector), count * 512);
            model[span(offset, len)].fill(0);
            bench.channel.start(Operation::Discard { offset, len }, token);
        }
        Act::Zero { sector, count, unmap } => {
            let (offset, len) = (at(sector), count * 512);
            model[span(offset, len)].fill(0);
            bench.channel.start(Operation::WriteZeroes { offset, len, unmap }, token);
        }
        Act::Flush => bench.channel.start(Operation::Flush, token),
    }
}

fn check_read(bench: &Bench, model: &[u8], lane: u64, act: &Act) {
    if let Act::Read { sector, count, cut } = *act {
        let ram = Arc::clone(&bench.ram);
        let mut found = vec![0; usize::try_from(count * 512).unwrap()];
        buffer(&ram, &pieces(lane, count * 512, cut)).copy_to(&mut found);
        assert!(found == model[span(lane * LANE + sector * 512, count * 512)], "{act:?}");
    }
}

/// Plays `groups`, each all in flight together, then reads everything back.
fn play(bench: &mut Bench, lanes: std::ops::Range<u64>, groups: &[Vec<Act>]) {
    let mut model = vec![0; usize::try_from(LANES * LANE).unwrap()];
    let all = Act::Read { sector: 0, count: LANE / 512, cut: 0 };
    let last = vec![all; usize::try_from(LANES).unwrap()];
    for group in groups.iter().chain([&last]) {
        let acts = || lanes.clone().zip(group);
        acts().for_each(|(lane, act)| begin(bench, &mut model, lane, act));
        for end in bench.ends(acts().count()) {
            end.result.unwrap();
        }
        acts().for_each(|(lane, act)| check_read(bench, &model, lane, act));
    }
}

fn groups() -> impl Strategy<Value = Vec<Vec<Act>>> {
    let lanes = usize::try_from(LANES).unwrap();
    prop::collection::vec(prop::collection::vec(act(), 1..=lanes), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn an_image_of_every_kind_of_place_holds_what_was_written(groups in groups()) {
        each(|make| {
            let image = Arc::new(Patchwork::new(LANES * LANE / BLOCK));
            play(&mut Bench::new(make, image), 0..LANES, &groups);
        });
    }

    #[test]
    fn a_raw_image_holds_what_was_written(groups in groups()) {
        each(|make| {
            let (_dir, disk, _file) = raw(LANES * LANE);
            play(&mut Bench::new(make, disk), 0..LANES, &groups);
        });
    }

    #[test]
    fn a_raw_image_past_the_page_cache_holds_what_was_written(groups in groups()) {
        each(|make| {
            let (_dir, disk, _file) = direct(LANES * LANE);
            play(&mut Bench::new(make, disk), 0..LANES, &groups);
        });
    }

    /// As two queues of a disk do, each in its own thread.
    #[test]
    fn two_channels_keep_what_must_run_alone_apart(one in groups(), two in groups()) {
        each(|make| {
            let image = Arc::new(Patchwork::new(LANES * LANE / BLOCK));
            let half = LANES / 2;
            std::thread::scope(|scope| {
                for (lanes, groups) in [(0..half, &one), (half..LANES, &two)] {
                    let image = Arc::clone(&image);
                    scope.spawn(move || play(&mut Bench::new(make, image), lanes, groups));
                }
            });
        });
    }
}
