use std::time::Duration;

use super::super::state::NAPS;
use super::*;
use crate::virtio::nap::Flow;

const WINDOW: u32 = 1 << 20;

fn flow(bytes: u32) -> Flow {
    let mut flow = Flow::default();
    flow.add(bytes.into(), WINDOW.into());
    flow
}

fn micros(time: Option<Duration>) -> Option<u128> {
    time.map(|time| time.as_micros())
}

#[test]
fn packets_that_are_no_stream_are_not_waited_for() {
    let mut naps = NAPS;
    for bytes in [0, 1, 4096, (32 << 10) - 1] {
        assert_eq!(naps.next(flow(bytes)), None);
    }
}

#[test]
fn a_stream_is_looked_at_ever_less_often_until_it_is_none() {
    let mut naps = NAPS;
    let steps = [(64 << 10, 128), (64 << 10, 256), (64 << 10, 256), (32 << 10, 256)];
    for (bytes, time) in steps {
        assert_eq!(micros(naps.next(flow(bytes))), Some(time));
    }
    assert_eq!(naps.next(flow(20_000)), None);
    // It begins anew.
    assert_eq!(micros(naps.next(flow(64 << 10))), Some(128));
    assert_eq!(naps.next(Flow::default()), None);
}

#[test]
fn a_guest_that_uses_its_credit_up_is_looked_at_more_often_and_then_rings() {
    let mut naps = NAPS;
    for time in [128, 64, 32, 16] {
        assert_eq!(micros(naps.next(flow(WINDOW / 2))), Some(time));
    }
    assert_eq!(naps.next(flow(WINDOW)), None);
}

#[test]
fn a_nap_that_suits_the_guest_stays_as_it_is() {
    let mut naps = NAPS;
    for _ in 0..10 {
        assert_eq!(micros(naps.next(flow(WINDOW / 3))), Some(128));
    }
}

#[test]
fn the_smallest_window_decides() {
    let mut naps = NAPS;
    assert!(naps.next(flow(WINDOW / 4)).is_some());
    let mut both = flow(WINDOW / 8);
    both.add(1000, (WINDOW / 4).into());
    both.add(1000, WINDOW.into());
    assert_eq!(micros(naps.next(both)), Some(64));
}

/// Makes a packet of a stream available, and does not ring.
fn add(bench: &mut Bench, ports: Ports, data: &[u8]) -> u32 {
    bench.guest.write(PACKETS, &[ports.header(OP_RW, data.len()).as_bytes(), data].concat());
    let len = u32::try_from(HEADER_LEN + data.len()).unwrap();
    bench.guest.queues[TX].add(&bench.guest.mem, &[read_only(PACKETS, len)]).into()
}

#[test]
fn a_guest_that_streams_need_not_ring() {
    for features in [0, feature::EVENT_IDX] {
        let mut bench = Bench::with(features, 4096);
        let (ports, server) = bench.open(1, 1);
        bench.send(ports, OP_RW, &pattern(50_000));
        assert!(read_some(&server) == pattern(50_000));
        for _ in 0..5 {
            let head = add(&mut bench, ports, &pattern(40_000));
            assert_eq!(bench.guest.taken(TX), (head, 0));
            assert!(read_some(&server) == pattern(40_000));
        }
    }
}

#[test]
fn a_guest_that_sends_little_has_each_packet_seen_as_it_rings() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    bench.send(ports, OP_RW, b"a");
    let head = add(&mut bench, ports, b"b");
    bench.guest.pump();
    assert_eq!(bench.guest.used(TX), None);
    bench.guest.kick(1);
    assert_eq!(bench.guest.used(TX), Some((head, 0)));
    assert_eq!(read_some(&server), b"ab");
}

#[test]
fn a_device_stopped_in_a_nap_starts_again() {
    let mut bench = Bench::new();
    let (ports, _server) = bench.open(1, 1);
    bench.send(ports, OP_RW, &pattern(50_000));
    bench.guest.start(feature::VERSION_1 | F_STREAM | feature::EVENT_IDX);
    bench.places.clear();
    let (again, server) = bench.open(2, 2);
    bench.send(again, OP_RW, b"hello");
    assert_eq!(read_some(&server), b"hello");
}
