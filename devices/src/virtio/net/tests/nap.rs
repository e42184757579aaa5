//! Guests that stream.

use super::*;

/// More than makes a stream.
const MUCH: usize = 40_000;

/// Makes a packet available, and does not ring.
fn add(bench: &mut Bench, frame: &[u8]) -> u32 {
    bench.guest.write(PACKETS, &[&PLAIN[..], frame].concat());
    let len = u32::try_from(HEADER_LEN + frame.len()).unwrap();
    bench.guest.queues[TX].add(&bench.guest.mem, &[read_only(PACKETS, len)]).into()
}

#[test]
fn a_guest_that_streams_need_not_ring() {
    for features in [0, feature::EVENT_IDX, feature::INDIRECT_DESC] {
        let mut bench = Bench::new(features);
        let first = bench.send(PLAIN, &frame(MUCH), &[]);
        assert!(first.unwrap()[HEADER_LEN..] == frame(MUCH));
        for more in 1..6 {
            let head = add(&mut bench, &frame(MUCH + more));
            assert_eq!(bench.guest.taken(TX), (head, 0));
            assert!(bench.host_sees().unwrap()[HEADER_LEN..] == frame(MUCH + more));
        }
    }
}

#[test]
fn a_guest_that_streamed_has_packets_seen_as_it_rings_again() {
    for features in [0, feature::EVENT_IDX] {
        let mut bench = Bench::new(features);
        bench.send(PLAIN, &frame(MUCH), &[]).unwrap();
        // The device takes one by itself at most before it finds nothing.
        for _ in 0..3 {
            let head = add(&mut bench, &frame(60));
            bench.guest.kick(1);
            assert_eq!(bench.guest.taken(TX), (head, 0));
            assert!(bench.host_sees().unwrap()[HEADER_LEN..] == frame(60));
        }
    }
}

#[test]
fn a_guest_that_sends_little_has_each_packet_seen_as_it_rings() {
    let mut bench = Bench::new(0);
    bench.send(PLAIN, &frame(60), &[]).unwrap();
    let head = add(&mut bench, &frame(61));
    bench.guest.pump();
    assert_eq!(bench.guest.used(TX), None);
    bench.guest.kick(1);
    assert_eq!(bench.guest.used(TX), Some((head, 0)));
    assert!(bench.host_sees().unwrap()[HEADER_LEN..] == frame(61));
}

#[test]
fn a_device_stopped_in_a_nap_starts_again() {
    let mut bench = Bench::new(0);
    bench.send(PLAIN, &frame(MUCH), &[]).unwrap();
    for _ in 0..5 {
        bench.guest.start(feature::VERSION_1 | feature::EVENT_IDX);
        // No nap of the last start has this one wait.
        assert!(bench.send(PLAIN, &frame(MUCH), &[]).unwrap()[HEADER_LEN..] == frame(MUCH));
    }
}
