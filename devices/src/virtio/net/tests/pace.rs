use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::offloads::TSO4;
use super::*;
use crate::virtio::rate::Limits;

/// A device with limits in a world whose time stands still until told.
struct Paced {
    bench: Bench,
    now: Arc<Mutex<Instant>>,
}

impl Paced {
    fn new(limits: Limits) -> Self {
        let now = Arc::new(Mutex::new(Instant::now()));
        let (backend, peer) = SocketNet::pair().unwrap();
        let offloads = backend.offloads();
        let options = NetOptions { mac: MAC, limits, ..NetOptions::default() };
        let time = Arc::clone(&now);
        let clock = Box::new(move || *time.lock().unwrap());
        let device = Net::with_clock(vec![Box::new(backend)], &options, clock).unwrap();
        let mut guest = Guest::mmio(device);
        guest.start(feature::VERSION_1);
        Self { bench: Bench { guest, peer, offloads }, now }
    }

    fn pass(&mut self, time: Duration) {
        *self.now.lock().unwrap() += time;
        self.bench.guest.kick(0);
        self.bench.guest.kick(1);
    }

    /// How many frames of `len` bytes the guest gets rid of in 10 seconds in
    /// which it always has more.
    fn sent_in_10_seconds(&mut self, len: u32) -> u32 {
        let guest = &mut self.bench.guest;
        guest.write(PACKETS, &PLAIN);
        let mut sent = 0;
        let refill = |paced: &mut Self, count: u32| {
            for _ in 0..count {
                let segment = read_only(PACKETS, len + 12);
                paced.bench.guest.queues[TX].add(&paced.bench.guest.mem, &[segment]);
            }
            paced.bench.guest.kick(1);
        };
        refill(self, 100);
        for _ in 0..1000 {
            self.pass(Duration::from_millis(10));
            while self.bench.host_sees().is_some() {
                self.bench.guest.pump();
            }
            let mut done = 0;
            while self.bench.guest.used(TX).is_some() {
                done += 1;
            }
            sent += done;
            refill(self, done);
        }
        sent
    }

    /// The same of packets to the guest, which a host always has more of.
    fn received_in_10_seconds(&mut self, len: usize) -> u32 {
        self.bench.offer(&[2000; 200]);
        let mut received = 0;
        for _ in 0..1000 {
            while self.bench.peer.send(&packet(len)).is_ok() {}
            self.pass(Duration::from_millis(10));
            while self.bench.guest.used(RX).is_some() {
                received += 1;
                self.bench.offer(&[2000]);
            }
        }
        received
    }
}

fn limits(operations: u64, bytes: u64) -> Limits {
    Limits { operations: NonZeroU64::new(operations), bytes: NonZeroU64::new(bytes) }
}

/// Within the 5 % that are promised, with what is saved up at the start.
fn assert_near(count: u32, wanted: u32) {
    assert!(count.abs_diff(wanted) * 20 <= wanted, "{count} instead of {wanted}");
}

#[test]
fn packets_a_second_are_limited_in_each_direction() {
    let mut paced = Paced::new(limits(500, 0));
    assert_near(paced.sent_in_10_seconds(60), 5000);
    assert_near(paced.received_in_10_seconds(60), 5000);
}

#[test]
fn bytes_a_second_are_limited_in_each_direction() {
    let mut paced = Paced::new(limits(0, 1_000_000));
    assert_near(paced.sent_in_10_seconds(1000), 10_000);
    assert_near(paced.received_in_10_seconds(1000), 10_000);
}

#[test]
fn the_tighter_limit_counts() {
    assert_near(Paced::new(limits(100, 1_000_000)).sent_in_10_seconds(60), 1000);
    assert_near(Paced::new(limits(10_000, 100_000)).sent_in_10_seconds(1000), 1000);
}

#[test]
fn a_large_segment_counts_as_the_packets_that_it_is_cut_to() {
    assert_eq!(Header::default().packets(60_000), 1);
    assert_eq!(TSO4.packets(14_480), 10);
    assert_eq!(TSO4.packets(14_481), 11);
    let odd = Header { gso_type: 0xff, gso_size: 0, ..Header::default() };
    assert_eq!(odd.packets(100), 100);
}

#[test]
fn what_is_held_back_goes_on_by_itself() {
    let mut paced = Paced::new(limits(20, 0));
    paced.bench.guest.write(PACKETS, &packet(60));
    for _ in 0..20 {
        let segment = read_only(PACKETS, 72);
        paced.bench.guest.queues[TX].add(&paced.bench.guest.mem, &[segment]);
    }
    paced.bench.guest.kick(1);
    let saved_up = (0..20).filter(|_| paced.bench.guest.used(TX).is_some()).count();
    assert!((1..5).contains(&saved_up), "{saved_up}");
    *paced.now.lock().unwrap() += Duration::from_secs(1);
    // Nobody kicks: the timer, which has the host's time, does.
    eventually(|| {
        paced.bench.guest.pump();
        paced.bench.guest.used(TX)
    });
}

#[test]
fn held_packets_cost_no_wake_ups() {
    let mut paced = Paced::new(limits(1, 0));
    paced.bench.offer(&[100; 5]);
    for _ in 0..5 {
        paced.bench.peer.send(&packet(60)).unwrap();
    }
    // `pump` would not return if the device span on what it may not take.
    paced.bench.guest.pump();
    paced.bench.guest.pump();
    assert!(paced.bench.guest.used(RX).is_some());
    assert_eq!(paced.bench.guest.used(RX), None);
}
