use std::io::ErrorKind;

use super::*;

#[test]
fn short_and_interrupted_transfers_are_completed() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    let faults =
        [Fault::Short(1), Fault::Error(ErrorKind::Interrupted), Fault::Short(700), Fault::Short(3)];
    bench.disk.inject(faults);
    assert_eq!(bench.request(blk::T_IN, 5, &[], 1024), (1025, blk::S_OK));
    assert_eq!(bench.guest.read(IN, 1024), pattern()[5 * 512..7 * 512]);
    bench.disk.inject(faults);
    assert_eq!(bench.request(blk::T_OUT, 9, &[8; 1024], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.bytes()[9 * 512..11 * 512], [8; 1024]);
    bench.disk.inject([Fault::Error(ErrorKind::Interrupted)]);
    assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_OK));
}

#[test]
fn host_errors_are_answered_and_the_device_goes_on() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        bench.disk.inject([Fault::Short(100), Fault::Error(kind)]);
        assert_eq!(bench.request(blk::T_IN, 0, &[], 512), (0, blk::S_IOERR));
        bench.disk.inject([Fault::Error(kind)]);
        assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_IOERR));
        bench.disk.inject([Fault::Error(kind)]);
        assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_IOERR));
        bench.disk.inject([Fault::Short(0)]);
        assert_eq!(bench.request(blk::T_IN, 0, &[], 512), (0, blk::S_IOERR));
        bench.assert_works();
    }
}

#[test]
fn each_error_of_the_host_fails_one_request() {
    let mut bench = Bench::new(false, blk::F_FLUSH | blk::F_WRITE_ZEROES);
    for errno in [libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EROFS, libc::EBADF] {
        bench.disk.inject([Fault::Os(errno)]);
        assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_IOERR));
        bench.assert_works();
        bench.disk.inject([Fault::Short(511), Fault::Os(errno)]);
        assert_eq!(bench.request(blk::T_OUT, 0, &[1; 1024], 0), (1, blk::S_IOERR));
        assert_eq!(bench.request(blk::T_OUT, 0, &[2; 1024], 0), (1, blk::S_OK));
        assert_eq!(bench.disk.bytes()[..1024], [2; 1024]);
    }
}

#[test]
fn a_device_that_disappears_fails_every_request() {
    let mut bench = Bench::new(false, blk::F_FLUSH);
    bench.disk.vanish();
    for _ in 0..20 {
        assert_eq!(bench.request(blk::T_IN, 0, &[], 512), (0, blk::S_IOERR));
        assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_IOERR));
        assert_eq!(bench.request(blk::T_FLUSH, 0, &[], 0), (1, blk::S_IOERR));
    }
    assert_eq!(bench.request(blk::T_GET_ID, 0, &[], 20), (21, blk::S_OK));
    assert!(!bench.guest.is_reset_needed());
}
