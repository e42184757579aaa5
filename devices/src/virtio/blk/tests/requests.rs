use super::*;

#[test]
fn a_read_brings_the_disk_to_memory() {
    let mut bench = Bench::new(false, 0);
    assert_eq!(bench.request(blk::T_IN, 1, &[], 1024), (1025, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 1024), pattern()[512..1536]);
    assert_eq!(bench.guest.regs.take_interrupts(), 1);
}

#[test]
fn a_write_brings_memory_to_the_disk() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    assert_eq!(bench.request(blk::T_OUT, 2, &[7; 512], 0), (1, blk::S_OK));
    let mut wanted = pattern();
    wanted[1024..1536].fill(7);
    assert_eq!(bench.disk.bytes(), wanted);
    assert_eq!(bench.disk.flushes(), 0);
}

#[test]
fn a_flush_is_one_flush_of_the_disk() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.flushes(), 1);
}

#[test]
fn without_flush_each_write_is_stable() {
    let mut bench = Bench::new(false, 0);
    assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.flushes(), 1);
}

#[test]
fn the_id_is_cut_to_the_buffer() {
    let mut bench = Bench::new(false, 0);
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 20), (21, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 20), b"a-disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 3), (4, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 3), b"a-d");
    // A longer buffer is left alone behind the id, and the length says so.
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 30), (20, blk::S_OK));
    assert_eq!(bench.guest.read(IN + 20, 10), [UNTOUCHED; 10]);
}

#[test]
fn an_unknown_type_is_unsupported() {
    let mut bench = Bench::new(false, 0);
    for kind in [2, 3, 5, 11, 13, 0x8000_0000, u32::MAX] {
        assert_eq!(bench.request(kind, 0, &[], 0), (1, blk::S_UNSUPP));
        assert_eq!(bench.request(kind, 0, &[1; 16], 16), (0, blk::S_UNSUPP));
    }
    bench.assert_works();
}

#[test]
fn a_read_only_disk_says_so_and_refuses_writes() {
    let mut bench = Bench::new(true, blk::F_FLUSH);
    assert_ne!(bench.guest.regs.device_features() & blk::F_RO, 0);
    assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_IOERR));
    assert_eq!(bench.disk.bytes(), pattern());
    assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_OK));
    bench.assert_works();
}

#[test]
fn sectors_past_the_end_are_refused() {
    let mut bench = Bench::new(false, 0);
    let sectors = DISK_LEN / 512;
    let edge = 1 << 55;
    for sector in [sectors, sectors - 1, edge - 1, edge, edge + 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(bench.request(blk::T_IN, sector, &[], 1024), (0, blk::S_IOERR));
        assert_eq!(bench.guest.read(IN, 1024), [UNTOUCHED; 1024]);
        assert_eq!(bench.request(blk::T_OUT, sector, &[1; 1024], 0), (1, blk::S_IOERR));
    }
    assert_eq!(bench.disk.bytes(), pattern());
    bench.assert_works();
}

#[test]
fn the_last_sector_is_the_guests() {
    let mut bench = Bench::new(false, 0);
    let last = DISK_LEN / 512 - 1;
    assert_eq!(bench.request(blk::T_OUT, last, &[9; 512], 0), (1, blk::S_OK));
    assert_eq!(bench.request(blk::T_IN, last, &[], 512), (513, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 512), [9; 512]);
}

#[test]
fn parts_of_sectors_are_refused() {
    let mut bench = Bench::new(false, 0);
    for len in [1, 511, 513] {
        assert_eq!(bench.request(blk::T_IN, 0, &[], len), (0, blk::S_IOERR));
        assert_eq!(bench.request(blk::T_OUT, 0, &vec![1; len], 0), (1, blk::S_IOERR));
    }
    assert_eq!(bench.request(blk::T_IN, 0, &[], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.bytes(), pattern());
}

#[test]
fn a_short_header_is_answered_in_the_status_byte() {
    let mut bench = Bench::new(false, 0);
    for len in 0..16 {
        bench.put(blk::T_IN, 0, &[], 0);
        assert_eq!(bench.run(&[read_only(OUT, len), write_only(IN, 1)]), (1, blk::S_IOERR));
    }
    assert_eq!(bench.run(&[write_only(IN, 9)]), (0, blk::S_IOERR));
    bench.assert_works();
}

#[test]
fn a_request_without_status_byte_is_given_back_undone() {
    let mut bench = Bench::new(false, 0);
    bench.put(blk::T_OUT, 0, &[1; 512], 0);
    assert_eq!(bench.run(&[read_only(OUT, 16 + 512)]).0, 0);
    assert_eq!(bench.disk.bytes(), pattern());
    bench.assert_works();
}
