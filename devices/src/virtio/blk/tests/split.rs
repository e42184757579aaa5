use proptest::prelude::*;

use super::*;

/// Cuts `len` bytes from `addr` at `cuts`, which may be anywhere.
fn cut(addr: u64, len: u32, cuts: &[u32], segment: fn(u64, u32) -> Segment) -> Vec<Segment> {
    let mut ends: Vec<u32> = cuts.iter().map(|c| c % (len + 1)).collect();
    ends.sort_unstable();
    ends.push(len);
    let mut start = 0;
    let mut segments = Vec::new();
    for end in ends {
        segments.push(segment(addr + u64::from(start), end - start));
        start = end;
    }
    segments
}

fn assert_cut_read(bench: &mut Bench, out: &[u32], incoming: &[u32]) {
    bench.put(blk::T_IN, 4, &[], 1024);
    let mut segments = cut(OUT, 16, out, read_only);
    segments.extend(cut(IN, 1025, incoming, write_only));
    assert_eq!(bench.run(&segments), (1025, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 1024), pattern()[4 * 512..6 * 512]);
}

fn assert_cut_write(bench: &mut Bench, byte: u8, out: &[u32]) {
    bench.put(blk::T_OUT, 8, &[byte; 512], 0);
    let mut segments = cut(OUT, 16 + 512, out, read_only);
    segments.push(write_only(IN, 1));
    assert_eq!(bench.run(&segments), (1, blk::S_OK));
    assert_eq!(bench.disk.bytes()[8 * 512..9 * 512], [byte; 512]);
}

#[test]
fn requests_may_be_split_at_every_byte() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    for at in 0..=16 {
        assert_cut_read(&mut bench, &[at], &[]);
    }
    for at in 0..=1025 {
        assert_cut_read(&mut bench, &[], &[at]);
    }
    for at in 0_u32..=16 + 512 {
        assert_cut_write(&mut bench, at.to_le_bytes()[0], &[at]);
    }
    for at in 0..=21 {
        bench.put(blk::T_GET_ID, 0, &[], 20);
        let mut segments = vec![read_only(OUT, 16)];
        segments.extend(cut(IN, 21, &[at], write_only));
        assert_eq!(bench.run(&segments), (21, blk::S_OK));
        assert_eq!(bench.guest.read(IN, 6), b"a-disk");
    }
}

proptest! {
    #[test]
    fn requests_may_be_split_in_many_ways(
        out in prop::collection::vec(any::<u32>(), 0..20),
        incoming in prop::collection::vec(any::<u32>(), 0..20),
        byte: u8,
    ) {
        let mut bench = Bench::new(false, blk::F_FLUSH);
        assert_cut_read(&mut bench, &out, &incoming);
        assert_cut_write(&mut bench, byte, &out);
    }

    #[test]
    fn any_chain_is_answered_within_its_buffers(
        header in prop::collection::vec(any::<u8>(), 0..40),
        outgoing in 0_u32..2000,
        incoming in prop::collection::vec(0_u32..1200, 0..6),
    ) {
        let mut bench = Bench::new(false, 0);
        bench.guest.write(OUT, &header);
        let mut segments = vec![read_only(OUT, outgoing)];
        segments.extend(incoming.iter().map(|len| write_only(IN, *len)));
        let room: u32 = incoming.iter().sum();
        prop_assert!(bench.run(&segments).0 <= room);
        bench.assert_works();
    }
}
