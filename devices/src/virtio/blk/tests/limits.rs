use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::virtio::rate::Limits;

/// A clock that goes when it is told.
#[derive(Clone)]
struct Hand(Arc<Mutex<Instant>>);

impl Hand {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

/// A disk with `limits` on a clock of ours.
fn limited(limits: Limits) -> (Bench, Hand) {
    let hand = Hand(Arc::new(Mutex::new(Instant::now())));
    let clock = hand.clone();
    let disk = MemoryDisk::new(pattern(), false);
    let options = DiskOptions { limits, ..options() };
    let clock = Box::new(move || *clock.0.lock().unwrap());
    let device = Blk::on_loop_with_clock(Arc::new(disk.clone()), &options, clock).unwrap();
    (Bench::with(device, disk, blk::F_FLUSH), hand)
}

/// How many requests of `len` bytes end in ten seconds, with 16 always waiting.
fn requests_in_ten_seconds(limits: Limits, len: u32) -> u64 {
    let (mut bench, hand) = limited(limits);
    bench.put(blk::T_IN, 0, &[], 8192);
    let request = [read_only(OUT, 16), write_only(IN, len + 1)];
    for _ in 0..16 {
        bench.guest.queues[0].add(&bench.guest.mem, &request);
    }
    let mut done = 0;
    for _ in 0..10_000 {
        bench.guest.kick(0);
        while bench.guest.used(0).is_some() {
            done += 1;
            bench.guest.queues[0].add(&bench.guest.mem, &request);
            bench.guest.kick(0);
        }
        hand.advance(Duration::from_millis(1));
    }
    done
}

fn limits(operations: u64, bytes: u64) -> Limits {
    Limits { operations: NonZeroU64::new(operations), bytes: NonZeroU64::new(bytes) }
}

fn assert_near(count: u64, wanted: u64) {
    assert!(count * 100 >= wanted * 95 && count * 100 <= wanted * 105, "{count} for {wanted}");
}

#[test]
fn ten_seconds_are_within_five_percent_of_the_limits() {
    assert_near(requests_in_ten_seconds(limits(200, 0), 4096), 2000);
    assert_near(requests_in_ten_seconds(limits(0, 4096 * 50), 4096), 500);
    assert_near(requests_in_ten_seconds(limits(200, 4096 * 50), 4096), 500);
    assert_near(requests_in_ten_seconds(limits(200, 4096 * 50), 512), 2000);
}

#[test]
fn a_reset_does_not_wait_for_what_is_held_back() {
    let (mut bench, hand) = limited(limits(1, 0));
    assert_eq!(bench.request(blk::T_IN, 0, &[], 512), (513, blk::S_OK));
    let request = [read_only(OUT, 16), write_only(IN, 513)];
    bench.guest.queues[0].add(&bench.guest.mem, &request);
    bench.guest.kick(0);
    assert_eq!(bench.guest.used(0), None);
    bench.guest.start(feature::VERSION_1);
    assert_eq!(bench.guest.used(0), None);
    hand.advance(Duration::from_secs(1));
    bench.assert_works();
}
