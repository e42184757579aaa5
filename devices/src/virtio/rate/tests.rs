use proptest::prelude::*;

use super::*;

fn rate(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).unwrap()
}

fn limits(operations: Option<u64>, bytes: Option<u64>) -> Limits {
    Limits { operations: operations.map(rate), bytes: bytes.map(rate) }
}

/// How many operations of `size` bytes start in `time`, by a caller that
/// always has one ready and sleeps until it may go on. Also how often it slept.
fn run(limits: Limits, size: u64, time: Duration) -> (u64, u64) {
    let start = Instant::now();
    let (mut now, mut done, mut slept) = (start, 0, 0);
    let mut limiter = Limiter::new(limits, now).unwrap();
    while now < start + time {
        match limiter.next(now) {
            Some(at) => {
                assert!(at > now);
                (now, slept) = (at, slept + 1);
            }
            None => {
                limiter.take(size, now);
                done += 1;
            }
        }
    }
    (done, slept)
}

fn assert_near(count: u64, wanted: u64) {
    assert!(count * 100 >= wanted * 95 && count * 100 <= wanted * 105, "{count} for {wanted}");
}

const TEN: Duration = Duration::from_secs(10);

#[test]
fn ten_seconds_are_within_five_percent() {
    for iops in [10, 100, 1000, 33_333, 1_000_000] {
        let (done, slept) = run(limits(Some(iops), None), 4096, TEN);
        assert_near(done, iops * 10);
        assert!(slept <= 10_001, "{slept} wake-ups for {iops}");
    }
    for (bandwidth, size) in [(1 << 20, 4096), (100 << 20, 4096), (1 << 30, 1 << 20)] {
        let (done, slept) = run(limits(None, Some(bandwidth)), size, TEN);
        assert_near(done * size, bandwidth * 10);
        assert!(slept <= 10_001, "{slept} wake-ups for {bandwidth}");
    }
}

#[test]
fn the_tighter_limit_counts() {
    assert_near(run(limits(Some(100), Some(1 << 20)), 512, TEN).0, 1000);
    assert_near(run(limits(Some(100_000), Some(1 << 20)), 4096, TEN).0, 2560);
}

#[test]
fn work_larger_than_the_bucket_is_done_and_owed() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(1000), start);
    bucket.take(5000, start);
    assert_eq!(bucket.next(start), Some(start + Duration::from_secs(5) - BURST));
    assert_eq!(bucket.next(start + Duration::from_secs(5)), None);
}

#[test]
fn a_long_rest_saves_up_no_more_than_the_burst() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(1000), start);
    let later = start + Duration::from_secs(1000);
    for _ in 0..100 {
        assert_eq!(bucket.next(later), None);
        bucket.take(1, later);
    }
    // The bucket is just empty: one more is taken on credit.
    assert_eq!(bucket.next(later), None);
    bucket.take(1, later);
    assert!(bucket.next(later).is_some());
}

#[test]
fn no_limits_are_no_limiter() {
    assert!(Limiter::new(Limits::default(), Instant::now()).is_none());
}

#[test]
fn clocks_that_stand_or_go_back_do_no_harm() {
    let start = Instant::now();
    let mut bucket = Bucket::new(rate(1), start + TEN);
    bucket.take(u64::MAX, start);
    bucket.take(u64::MAX, start);
    assert!(bucket.next(start).unwrap() > start);
}

proptest! {
    #[test]
    fn no_window_gets_more_than_its_share_and_the_burst(
        rate_ in 1_u64..10_000_000,
        work in prop::collection::vec((1_u64..5000, 0_u64..50_000_000), 1..200),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(rate_), start);
        let (mut now, mut taken, mut last) = (start, 0_u128, 0);
        for (count, rest) in work {
            now += Duration::from_nanos(rest);
            if let Some(at) = bucket.next(now) {
                now = at;
            }
            bucket.take(count, now);
            taken += u128::from(count);
            last = count;
        }
        let share = u128::from(rate_) * ((now - start) + BURST).as_nanos() / 1_000_000_000;
        prop_assert!(taken <= share + u128::from(last) + 1);
    }
}
