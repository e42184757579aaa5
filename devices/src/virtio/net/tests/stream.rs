//! The device on a backend that reads ahead and can be full.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;
use crate::backend::net::{Passt, PasstEnds};

/// A live device, and what stands for passt: it never waits.
fn bench(features: u64) -> (Guest<MmioRegisters>, UnixStream, std::os::fd::OwnedFd) {
    let (passt, PasstEnds { stream, words }) = Passt::pair(1500).unwrap();
    let peer = UnixStream::from(stream);
    peer.set_nonblocking(true).unwrap();
    let mut guest = Guest::mmio(device(passt));
    guest.start(feature::VERSION_1 | features);
    (guest, peer, words)
}

fn with_length(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

#[test]
fn no_offload_is_offered_that_the_host_does_not_do() {
    let (passt, _ends) = Passt::pair(65520).unwrap();
    let mut guest = Guest::mmio(device(passt));
    let offered = guest.regs.device_features();
    let offloads = F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6;
    assert_eq!(offered & offloads, 0);
    assert_eq!(offered & (F_MTU | F_MRG_RXBUF | F_STATUS), F_MTU | F_MRG_RXBUF | F_STATUS);
    let mut mtu = [0; 2];
    guest.regs.read_config(10, &mut mtu);
    assert_eq!(u16::from_le_bytes(mtu), 65520);
}

#[test]
fn packets_that_came_with_one_read_arrive_without_another_event() {
    let (mut guest, mut peer, _words) = bench(0);
    for i in 0..250 {
        guest.queues[RX].add(&guest.mem, &[write_only(BUFFERS + i * 0x1000, 2000)]);
    }
    // More than one turn delivers.
    peer.write_all(&with_length(&frame(20)).repeat(200)).unwrap();
    guest.kick(0);
    for _ in 0..200 {
        assert_eq!(guest.used(RX).map(|(_, len)| len), Some(32));
    }
    assert_eq!(guest.used(RX), None);
}

#[test]
fn a_guest_that_receives_nothing_still_sends() {
    const SENT: u32 = 60;
    let (mut guest, mut peer, _words) = bench(0);
    // As passt, which waits in the middle of a frame until that is taken.
    let flood = with_length(&frame(1000)).repeat(10);
    let mut flooded = 0;
    while let Ok(len) = peer.write(&flood[flooded % flood.len()..]) {
        flooded += len;
    }
    guest.write(PACKETS, &[&PLAIN[..], &frame(60_000)].concat());
    let mut used = 0;
    for _ in 0..SENT {
        guest.queues[TX].add(&guest.mem, &[read_only(PACKETS, 60_012)]);
    }
    guest.kick(1);
    while guest.used(TX).is_some() {
        used += 1;
    }
    assert!((1..SENT).contains(&used), "the socket was full after {used} packets");

    // It goes on with its frame, takes what has come, and so on.
    while used < SENT {
        flooded += peer.write(&flood[flooded % flood.len()..]).expect("passt may go on");
        let mut some = vec![0; 100_000];
        assert!(peer.read(&mut some).unwrap() > 0);
        while let Ok(len) = peer.write(&flood[flooded % flood.len()..]) {
            flooded += len;
        }
        guest.pump();
        while guest.used(TX).is_some() {
            used += 1;
        }
    }

    // Once it receives again, what comes is in step.
    guest.queues[RX].add(&guest.mem, &[write_only(BUFFERS, 2000)]);
    guest.kick(0);
    assert_eq!(guest.used(RX), Some((0, 1012)));
    assert_eq!(guest.read(BUFFERS + 12, 1000), frame(1000));
}

#[test]
fn packets_that_find_no_buffers_while_the_guest_sends_are_kept_for_it() {
    let (mut guest, mut peer, _words) = bench(0);
    let numbered = |number: u16| [&frame(998)[..], &number.to_be_bytes()].concat();
    let mut count = 0;
    while peer.write(&with_length(&numbered(count))).is_ok() {
        count += 1;
    }
    guest.write(PACKETS, &[&PLAIN[..], &frame(60_000)].concat());
    for _ in 0..60 {
        guest.queues[TX].add(&guest.mem, &[read_only(PACKETS, 60_012)]);
    }
    guest.kick(1);
    // As Kiln has no room to send, it makes room for passt.
    peer.write_all(&with_length(&numbered(count))).unwrap();
    guest.pump();
    for number in 0..=count {
        guest.queues[RX].add(&guest.mem, &[write_only(BUFFERS, 2000)]);
        guest.kick(0);
        assert_eq!(guest.used(RX).map(|(_, len)| len), Some(1012), "packet {number} of {count}");
        assert_eq!(guest.read(BUFFERS + 12, 1000), numbered(number));
    }
}

#[test]
fn a_guest_that_receives_nothing_and_sends_little_is_heard() {
    let (mut guest, mut peer, _words) = bench(0);
    let flood = with_length(&frame(1000)).repeat(10);
    let mut flooded = 0;
    while let Ok(len) = peer.write(&flood[flooded % flood.len()..]) {
        flooded += len;
    }
    guest.write(PACKETS, &packet(60));
    // It takes a second, in which the guest might have found buffers.
    while peer.write(&flood[flooded % flood.len()..]).is_err() {
        guest.queues[TX].add(&guest.mem, &[read_only(PACKETS, 72)]);
        guest.kick(1);
        let mut came = [0; 64];
        assert!(guest.used(TX).is_some() && peer.read(&mut came).is_ok());
        assert_eq!(came[..], with_length(&frame(60))[..]);
    }
}

#[test]
fn the_end_of_passt_takes_the_link_down() {
    let (mut guest, peer, words) = bench(0);
    drop((peer, words));
    // A process that another test starts has a copy of them for a moment.
    eventually(|| {
        guest.pump();
        let mut status = [0; 2];
        guest.regs.read_config(6, &mut status);
        (u16::from_le_bytes(status) == 0).then_some(())
    });
    assert!(!guest.is_reset_needed());
}
