use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use vm_memory::VolatileSlice;

use super::*;
use crate::backend::net::{NetBackend, Offloads, SocketNet};
use crate::virtio::spec::net::*;
use crate::virtio::spec::{desc, feature, isr};
use crate::virtio::testing::*;

mod control;
mod lost;
mod nap;
mod offloads;
mod pace;
mod pairs;
mod stream;
mod together;

const RX: usize = 0;
const TX: usize = 1;
const BUFFERS: u64 = 0x10_0000;
const PACKETS: u64 = 0x20_0000;
const MAC: [u8; 6] = [2, 1, 2, 3, 4, 5];
const PLAIN: [u8; HEADER_LEN] = [0; HEADER_LEN];

struct Bench {
    guest: Guest<MmioRegisters>,
    peer: UnixDatagram,
    offloads: Arc<Mutex<Offloads>>,
}

fn device(backend: impl NetBackend + 'static) -> Net {
    Net::new(vec![Box::new(backend)], &NetOptions { mac: MAC, ..NetOptions::default() }).unwrap()
}

impl Bench {
    fn new(features: u64) -> Self {
        let (backend, peer) = SocketNet::pair().unwrap();
        let backend = backend.patient();
        let offloads = backend.offloads();
        let mut guest = Guest::mmio(device(backend));
        guest.start(feature::VERSION_1 | features);
        Self { guest, peer, offloads }
    }

    fn offer(&mut self, lens: &[u32]) {
        for (i, len) in (0..).zip(lens) {
            let buffer = write_only(BUFFERS + i * 0x1000, *len);
            self.guest.queues[RX].add(&self.guest.mem, &[buffer]);
        }
        self.guest.kick(0);
    }

    /// A packet from the host, which the device may pick up now.
    fn arrive(&mut self, packet: &[u8]) {
        self.peer.send(packet).unwrap();
        self.guest.pump();
    }

    /// Sends a packet in the given pieces; what the host sees of it.
    fn send(&mut self, header: [u8; HEADER_LEN], frame: &[u8], cuts: &[u32]) -> Option<Vec<u8>> {
        self.guest.write(PACKETS, &[&header[..], frame].concat());
        let len = u32::try_from(HEADER_LEN + frame.len()).unwrap();
        let mut ends: Vec<u32> = cuts.iter().map(|cut| cut % (len + 1)).collect();
        ends.sort_unstable();
        ends.push(len);
        let mut start = 0;
        let mut segments = Vec::new();
        for end in ends {
            segments.push(read_only(PACKETS + u64::from(start), end - start));
            start = end;
        }
        let head = self.guest.queues[TX].add(&self.guest.mem, &segments);
        self.guest.kick(1);
        assert_eq!(self.guest.used(TX), Some((u32::from(head), 0)));
        self.host_sees()
    }

    fn host_sees(&self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 0x2_0000];
        let len = self.peer.recv(&mut packet).ok()?;
        packet.truncate(len);
        Some(packet)
    }
}

fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn packet(len: usize) -> Vec<u8> {
    [&PLAIN[..], &frame(len)].concat()
}

#[test]
fn a_packet_from_the_host_fills_a_buffer() {
    for features in [0, F_MRG_RXBUF, feature::EVENT_IDX] {
        let mut bench = Bench::new(features);
        bench.offer(&[2000]);
        bench.arrive(&packet(100));
        assert_eq!(bench.guest.used(RX), Some((0, 112)));
        let mut wanted = packet(100);
        wanted[10] = 1;
        assert_eq!(bench.guest.read(BUFFERS, 112), wanted);
        assert_eq!(bench.guest.regs.take_interrupts(), isr::QUEUE);
    }
}

#[test]
fn a_packet_may_fill_several_buffers() {
    let mut bench = Bench::new(F_MRG_RXBUF);
    bench.offer(&[5, 20, 1, 40, 500]);
    bench.arrive(&packet(50));
    assert_eq!(bench.guest.used(RX), Some((0, 5)));
    assert_eq!(bench.guest.used(RX), Some((1, 20)));
    assert_eq!(bench.guest.used(RX), Some((2, 1)));
    assert_eq!(bench.guest.used(RX), Some((3, 36)));
    assert_eq!(bench.guest.used(RX), None);
    let parts = [(0, 5), (1, 20), (2, 1), (3, 36)];
    let got = parts.map(|(i, len)| bench.guest.read(BUFFERS + i * 0x1000, len)).concat();
    let mut wanted = packet(50);
    wanted[10] = 4;
    assert_eq!(got, wanted);
    bench.arrive(&packet(60));
    assert_eq!(bench.guest.used(RX), Some((4, 72)));
}

#[test]
fn packets_of_any_size_come_whole_whatever_came_before() {
    for features in [F_MRG_RXBUF, F_MRG_RXBUF | feature::EVENT_IDX] {
        let mut bench = Bench::new(features);
        // Sizes around the room that is made for each.
        let lens = [60, 2036, 2037, 9000, 60, 65557, 65557, 60, 60, 30_000, 3000];
        for len in lens {
            let buffers = (len + 12_usize).div_ceil(0x1000) + 1;
            bench.offer(&vec![0x1000; buffers]);
            bench.arrive(&packet(len));
            let mut got = Vec::new();
            while let Some((head, used)) = bench.guest.used(RX) {
                let at = bench.guest.queues[RX].desc + 16 * u64::from(head);
                let addr = u64::from_le_bytes(bench.guest.read(at, 8).try_into().unwrap());
                got.extend(bench.guest.read(addr, used as usize));
            }
            let count = u16::from_le_bytes([got[10], got[11]]);
            assert_eq!(usize::from(count), (len + 12).div_ceil(0x1000), "{len}");
            got[10..12].fill(0);
            assert!(got == packet(len), "{len}");
            // The buffer that is left over takes the next small packet.
            bench.arrive(&packet(20));
            assert_eq!(bench.guest.used(RX).map(|(_, len)| len), Some(32));
        }
    }
}

#[test]
fn packets_that_come_together_take_one_interrupt() {
    let mut bench = Bench::new(feature::EVENT_IDX);
    for _ in 0..2 {
        for _ in 0..10 {
            bench.peer.send(&packet(60)).unwrap();
        }
        bench.guest.queues[RX].ask_for_next(&bench.guest.mem);
        bench.offer(&[100; 10]);
        assert_eq!(bench.guest.regs.take_interrupts(), isr::QUEUE);
        for _ in 0..10 {
            assert!(bench.guest.used(RX).is_some());
        }
        // None came after it.
        assert_eq!(bench.guest.regs.take_interrupts(), 0);
    }
}

#[test]
fn ends_that_both_take_nothing_cost_no_wake_ups() {
    let mut bench = Bench::new(0);
    while bench.peer.send(&packet(60)).is_ok() {}
    // Large, for the socket counts bytes.
    for _ in 0..250 {
        bench.guest.queues[TX].add(&bench.guest.mem, &[read_only(PACKETS, 60_000)]);
    }
    // `kick` would not return if the device span on either.
    bench.guest.kick(0);
    bench.guest.kick(1);
    let used = (0..250).filter(|_| bench.guest.used(TX).is_some()).count();
    assert!((1..250).contains(&used), "the host is full after {used}");
    while bench.host_sees().is_some() {}
    bench.guest.pump();
    assert!(bench.guest.used(TX).is_some(), "and goes on when it takes some");
}

#[test]
fn packets_to_a_full_host_wait_for_room() {
    let mut bench = Bench::new(0);
    // More than the socket holds.
    for number in 0..100_u8 {
        let at = PACKETS + 0x100 * u64::from(number);
        bench.guest.write(at, &[&PLAIN[..], &[number; 60]].concat());
        let segments = [read_only(at, 72), read_only(BUFFERS, 60_000)];
        bench.guest.queues[TX].add(&bench.guest.mem, &segments);
    }
    bench.guest.kick(1);
    let mut seen = Vec::new();
    let used = (0..100).filter(|_| bench.guest.used(TX).is_some()).count();
    assert!((1..100).contains(&used), "the host is full after {used}");
    while seen.len() < 100 {
        let packet = bench.host_sees().expect("the next packet comes when there is room");
        seen.push(packet[HEADER_LEN]);
        bench.guest.pump();
    }
    assert!(seen.into_iter().eq(0..100), "none is lost, and they keep their order");
    for _ in used..100 {
        assert!(bench.guest.used(TX).is_some());
    }
}

#[test]
fn a_packet_that_no_buffer_holds_is_dropped() {
    let mut bench = Bench::new(0);
    bench.offer(&[100, 100]);
    bench.arrive(&packet(89));
    assert_eq!(bench.guest.used(RX), None);
    bench.arrive(&packet(88));
    assert_eq!(bench.guest.used(RX), Some((0, 100)));
}

#[test]
fn a_packet_that_all_buffers_together_do_not_hold_is_dropped() {
    let mut bench = Bench::new(F_MRG_RXBUF);
    bench.offer(&[1; 256]);
    bench.arrive(&packet(300));
    bench.arrive(&packet(2));
    for head in 0..14 {
        assert_eq!(bench.guest.used(RX), Some((head, 1)));
    }
    assert_eq!(bench.guest.used(RX), None);
}

#[test]
fn a_packet_waits_until_there_are_enough_buffers() {
    for features in [0, feature::EVENT_IDX] {
        let mut bench = Bench::new(F_MRG_RXBUF | features);
        bench.offer(&[50]);
        // `pump` would not return if the device span on the packet.
        bench.arrive(&packet(100));
        bench.arrive(&packet(10));
        assert_eq!(bench.guest.used(RX), None);
        if features != 0 {
            let wanted_at = bench.guest.queues[RX].avail_event(&bench.guest.mem);
            assert_eq!(wanted_at, 1, "the driver must ring for the next buffer");
        }
        bench.offer(&[50]);
        assert_eq!(bench.guest.used(RX), None);
        bench.offer(&[50, 50]);
        for used in [(0, 50), (1, 50), (2, 12), (3, 22)] {
            assert_eq!(bench.guest.used(RX), Some(used));
        }
    }
}

#[test]
fn a_guest_that_takes_no_packets_can_still_send() {
    let mut bench = Bench::new(0);
    while bench.peer.send(&packet(60)).is_ok() {
        bench.guest.pump();
    }
    for _ in 0..100 {
        assert_eq!(bench.send(PLAIN, &frame(60), &[]), Some(packet(60)));
    }
    bench.offer(&[1000]);
    assert_eq!(bench.guest.used(RX), Some((0, 72)));
}

#[test]
fn packets_that_came_before_the_driver_are_delivered() {
    let (backend, peer) = SocketNet::pair().unwrap();
    let mut guest = Guest::mmio(device(backend));
    peer.send(&packet(20)).unwrap();
    guest.pump();
    guest.negotiate(feature::VERSION_1);
    guest.set_up_queues(8);
    guest.queues[RX].add(&guest.mem, &[write_only(BUFFERS, 100)]);
    // No kick: the device has to look by itself.
    guest.go();
    assert_eq!(guest.used(RX), Some((0, 32)));
}

#[test]
fn a_runt_from_the_host_is_dropped() {
    let mut bench = Bench::new(0);
    bench.offer(&[100]);
    bench.arrive(&[1; 11]);
    assert_eq!(bench.guest.used(RX), None);
    bench.arrive(&packet(1));
    assert_eq!(bench.guest.used(RX), Some((0, 13)));
}

#[test]
fn a_receive_buffer_that_cannot_be_written_breaks_the_ring_only() {
    let mut bench = Bench::new(0);
    bench.guest.queues[RX].add(&bench.guest.mem, &[read_only(BUFFERS, 100)]);
    bench.guest.kick(0);
    bench.arrive(&packet(20));
    assert!(bench.guest.is_reset_needed());
    assert_eq!(bench.guest.regs.take_interrupts(), isr::CONFIG);
    assert_eq!(bench.send(PLAIN, &frame(60), &[]), Some(packet(60)));
    bench.guest.start(feature::VERSION_1);
    bench.offer(&[100]);
    bench.arrive(&packet(20));
    assert_eq!(bench.guest.used(RX), Some((0, 32)));
}

#[test]
fn a_sent_packet_may_be_split_at_every_byte() {
    let mut bench = Bench::new(0);
    for at in 0..=72 {
        assert_eq!(bench.send(PLAIN, &frame(60), &[at]), Some(packet(60)));
    }
    let every: Vec<u32> = (0..72).collect();
    assert_eq!(bench.send(PLAIN, &frame(60), &every), Some(packet(60)));
}

#[test]
fn packets_too_short_or_too_long_are_dropped() {
    let mut bench = Bench::new(0);
    for len in [0, 1, 13, 65558, 200_000] {
        assert_eq!(bench.send(PLAIN, &frame(len), &[]), None, "{len}");
    }
    bench.guest.queues[TX].add(&bench.guest.mem, &[read_only(PACKETS, 11)]);
    bench.guest.queues[TX].add(&bench.guest.mem, &[write_only(PACKETS, 100)]);
    bench.guest.kick(1);
    assert!(bench.guest.used(TX).is_some_and(|(_, len)| len == 0));
    assert!(bench.guest.used(TX).is_some_and(|(_, len)| len == 0));
    assert_eq!(bench.host_sees(), None);
    for len in [14, 65557] {
        assert_eq!(bench.send(PLAIN, &frame(len), &[]), Some(packet(len)), "{len}");
    }
}

#[test]
fn the_configuration_tells_address_link_and_mtu() {
    let mut bench = Bench::new(0);
    let mut config = [0xff; 14];
    bench.guest.regs.read_config(0, &mut config);
    assert_eq!(config, [2, 1, 2, 3, 4, 5, 1, 0, 0, 0, 0xdc, 5, 0, 0]);
}

#[test]
fn default_addresses_are_stable_local_and_differ() {
    assert_eq!(default_mac("vm", 0), default_mac("vm", 0));
    let mut all: Vec<_> = ["", "vm", "vm1", "vn"]
        .into_iter()
        .flat_map(|name| (0..300).map(move |index| default_mac(name, index)))
        .collect();
    assert!(all.iter().all(|mac| mac[0] == 2));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 1200);
}
