use std::net::Shutdown;

use super::device::{fill, is_ended_after};
use super::*;
use crate::virtio::spec::desc;

#[test]
fn one_read_fills_many_buffers() {
    let mut bench = Bench::with(feature::EVENT_IDX, 100);
    let (ports, mut server) = bench.open(1, 1);
    let data = pattern(1000);
    bench.everything();
    server.write_all(&data).unwrap();
    bench.guest.pump();
    let packets = bench.everything();
    // 56 bytes beside each header.
    assert_eq!(packets.len(), 18);
    assert!(packets.iter().all(|packet| packet.op() == OP_RW));
    packets.iter().for_each(|packet| ports.check(packet));
    let got: Vec<u8> = packets.iter().flat_map(|packet| packet.data.clone()).collect();
    assert!(got == data);
}

#[test]
fn packets_may_lie_in_any_pieces() {
    let mut bench = Bench::new();
    let (ports, mut server) = bench.open(1, 1);
    let packet = [ports.header(OP_RW, 20).as_bytes(), &pattern(30)].concat();
    bench.guest.write(PACKETS, &packet);
    let pieces = [(0, 1), (1, 42), (43, 3), (46, 20), (66, 8)];
    let chain = pieces.map(|(at, len)| read_only(PACKETS + at, len));
    bench.guest.queues[TX].add(&bench.guest.mem, &chain);
    bench.guest.kick(1);
    // No more than the header says; what else there is means nothing.
    assert_eq!(read_some(&server), pattern(20));

    bench.everything();
    assert_eq!(bench.places.len(), 64);
    server.write_all(&pattern(30)).unwrap();
    let at = BUFFERS + 0x18_0000;
    let mut bench = Bench::with(0, 4096);
    let (_, mut server) = bench.open(1, 1);
    drain_buffers(&mut bench);
    let pieces = [(0, 3), (100, 41), (200, 1), (300, 10), (400, 100)];
    let chain = pieces.map(|(offset, len)| write_only(at + offset, len));
    bench.guest.queues[RX].add(&bench.guest.mem, &chain);
    bench.guest.kick(0);
    server.write_all(&pattern(30)).unwrap();
    bench.guest.pump();
    assert_eq!(bench.guest.used(RX).unwrap().1, 74);
    let got =
        [(200, 1), (300, 10), (400, 19)].map(|(offset, len)| bench.guest.read(at + offset, len));
    assert_eq!(got.concat(), pattern(30));
}

/// Has the device use up all buffers that it has.
fn drain_buffers(bench: &mut Bench) {
    while !bench.places.is_empty() {
        bench.send(Ports { guest: 999, host: 999, credit: (0, 0) }, OP_RW, &[]);
        bench.received();
    }
}

#[test]
fn the_guest_is_sent_no_more_than_its_credit() {
    let mut bench = Bench::new();
    let mut ports = Ports { guest: 1, host: 1, credit: (1000, 0) };
    bench.send(ports, OP_REQUEST, &[]);
    let (_, mut server) = bench.host.accepted().pop().unwrap();
    assert_eq!(bench.only().op(), OP_RESPONSE);
    let data = pattern(2500);
    server.write_all(&data).unwrap();
    bench.guest.pump();
    let mut got = Vec::new();
    for round in 1..=3 {
        let packets = bench.everything();
        got.extend(packets.iter().flat_map(|packet| packet.data.clone()));
        assert_eq!(got.len(), (1000 * round).min(2500));
        let last = packets.last().unwrap().op();
        assert_eq!(last, if round < 3 { OP_CREDIT_REQUEST } else { OP_RW });
        ports.credit.1 = u32::try_from(got.len()).unwrap();
        bench.send(ports, OP_CREDIT_UPDATE, &[]);
    }
    assert!(got == data);
}

#[test]
fn a_guest_that_sends_no_more_than_its_own_buffer_holds_hears_of_room() {
    let mut bench = Bench::new();
    let (mut ports, server) = bench.open(1, 1);
    ports.credit.0 = 8000;
    for _ in 0..100 {
        bench.send(ports, OP_RW, &pattern(8000));
        assert!(read_some(&server) == pattern(8000));
        assert_eq!(bench.only().op(), OP_CREDIT_UPDATE);
    }
}

#[test]
fn a_slow_program_of_the_host_stalls_its_own_connection() {
    let mut bench = Bench::new();
    let (slow, slow_server) = bench.open(1, 1);
    let sent = fill(&mut bench, slow);
    // The socket is full, and so is what the device keeps.
    assert!(sent.len() > AHEAD);
    let (fast, fast_server) = bench.open(2, 2);
    for _ in 0..50 {
        bench.send(fast, OP_RW, &pattern(8000));
        assert!(read_some(&fast_server) == pattern(8000));
        bench.everything();
    }
    // A guest that asks is told that there is no room.
    bench.send(slow, OP_CREDIT_REQUEST, &[]);
    let answer = bench.only();
    let known = answer.header.buf_alloc.get() + answer.header.fwd_cnt.get();
    assert_eq!(usize::try_from(known).unwrap(), sent.len());
    // Nothing was lost on the way.
    bench.shut_down(slow, SHUTDOWN_SEND);
    let mut got = Vec::new();
    while !is_ended_after(&mut bench, &slow_server, &mut got) {}
    assert!(got == sent);
    // It has room again, half of it at least, and says so.
    let news = bench.everything();
    let last = news.last().unwrap().header;
    assert_eq!(last.op.get(), OP_CREDIT_UPDATE);
    let known = usize::try_from(last.buf_alloc.get() + last.fwd_cnt.get()).unwrap();
    assert!(known - sent.len() > AHEAD / 2);
}

#[test]
fn a_slow_program_of_the_guest_stalls_its_own_connection() {
    let mut bench = Bench::new();
    let slow = Ports { guest: 1, host: 1, credit: (10, 0) };
    bench.send(slow, OP_REQUEST, &[]);
    let (_, mut server) = bench.host.accepted().pop().unwrap();
    server.write_all(&pattern(1000)).unwrap();
    let (fast, mut fast_server) = {
        let packets = bench.everything();
        assert_eq!(packets.iter().map(|packet| packet.data.len()).sum::<usize>(), 10);
        bench.open(2, 2)
    };
    for _ in 0..10 {
        fast_server.write_all(&pattern(500)).unwrap();
        bench.guest.pump();
        let packet = bench.only();
        fast.check(&packet);
        assert_eq!(packet.data, pattern(500));
    }
}

#[test]
fn a_guest_without_buffers_waits_and_the_host_is_served_meanwhile() {
    let mut bench = Bench::new();
    let (ports, mut server) = bench.open(1, 1);
    drain_buffers(&mut bench);
    server.write_all(b"later").unwrap();
    bench.guest.pump();
    for round in 0..50_u8 {
        bench.send(ports, OP_RW, &[round]);
    }
    assert_eq!(read_some(&server), (0..50).collect::<Vec<u8>>());
    assert_eq!(bench.only().data, b"later");
}

#[test]
fn the_guest_may_end_its_half_first() {
    let mut bench = Bench::new();
    let (ports, mut server) = bench.open(1, 1);
    bench.send(ports, OP_RW, b"question");
    bench.shut_down(ports, SHUTDOWN_SEND);
    assert_eq!(read_some(&server), b"question");
    assert!(is_ended(&server));
    server.write_all(b"answer").unwrap();
    bench.guest.pump();
    assert_eq!(bench.only().data, b"answer");
    drop(server);
    bench.guest.pump();
    let end = bench.only();
    assert_eq!((end.op(), end.header.flags.get()), (OP_SHUTDOWN, SHUTDOWN_BOTH));
}

#[test]
fn the_host_may_end_its_half_first() {
    let mut bench = Bench::new();
    let (ports, mut server) = bench.open(1, 1);
    server.write_all(b"question").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    bench.guest.pump();
    let packets = bench.everything();
    assert_eq!(packets[0].data, b"question");
    assert_eq!(packets[1].op(), OP_SHUTDOWN);
    assert_eq!(packets[1].header.flags.get(), SHUTDOWN_SEND);
    assert_eq!(packets.len(), 2);
    bench.send(ports, OP_RW, b"answer");
    assert_eq!(read_some(&server), b"answer");
    bench.shut_down(ports, SHUTDOWN_BOTH);
    assert_eq!(bench.only().op(), OP_RST);
    assert!(is_ended(&server));
}

#[test]
fn the_guest_may_stop_to_listen() {
    let mut bench = Bench::new();
    let (ports, mut server) = bench.open(1, 1);
    bench.shut_down(ports, SHUTDOWN_RECEIVE);
    assert_eq!(server.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    bench.send(ports, OP_RW, b"still here");
    assert_eq!(read_some(&server), b"still here");
    drop(server);
    bench.guest.pump();
    let end = bench.only();
    assert_eq!((end.op(), end.header.flags.get()), (OP_SHUTDOWN, SHUTDOWN_BOTH));
}

#[test]
fn the_host_may_stop_to_listen() {
    let mut bench = Bench::new();
    let (ports, mut server) = bench.open(1, 1);
    server.shutdown(Shutdown::Read).unwrap();
    bench.send(ports, OP_RW, &pattern(8000));
    let end = bench.only();
    assert_eq!((end.op(), end.header.flags.get()), (OP_SHUTDOWN, SHUTDOWN_RECEIVE));
    // What is on its way is taken, and is nobody's.
    for _ in 0..100 {
        bench.send(ports, OP_RW, &pattern(8000));
    }
    server.write_all(b"still here").unwrap();
    bench.guest.pump();
    let packets = bench.everything();
    assert!(packets.iter().any(|packet| packet.data == b"still here"));
    assert!(packets.iter().all(|packet| packet.op() != OP_RST));
}

#[test]
fn an_end_comes_after_all_data() {
    let mut bench = Bench::new();
    let mut ports = Ports { guest: 1, host: 1, credit: (100, 0) };
    bench.send(ports, OP_REQUEST, &[]);
    let (_, mut server) = bench.host.accepted().pop().unwrap();
    server.write_all(&pattern(1000)).unwrap();
    drop(server);
    bench.guest.pump();
    let mut got = Vec::new();
    let end = loop {
        let packets = bench.everything();
        got.extend(packets.iter().flat_map(|packet| packet.data.clone()));
        if let Some(end) = packets.iter().find(|packet| packet.op() == OP_SHUTDOWN) {
            break end.header.flags.get();
        }
        ports.credit.1 = u32::try_from(got.len()).unwrap();
        bench.send(ports, OP_CREDIT_UPDATE, &[]);
    };
    assert!(got == pattern(1000));
    assert_eq!(end, SHUTDOWN_BOTH);
    // The guest's own end finds no connection, and needs none.
    bench.send(ports, OP_RST, &[]);
    assert_eq!(bench.everything(), []);
}

#[test]
fn a_closed_guest_socket_delivers_all_that_it_took() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    let sent = fill(&mut bench, ports);
    bench.shut_down(ports, SHUTDOWN_BOTH);
    // The guest need not wait for the program of the host.
    assert_eq!(bench.only().op(), OP_RST);
    // The port is free for another connection, whose data are its own.
    let (again, other) = bench.open(1, 1);
    bench.send(again, OP_RW, b"new");
    assert_eq!(read_some(&other), b"new");
    let mut got = Vec::new();
    while !is_ended_after(&mut bench, &server, &mut got) {}
    assert!(got == sent);
}

#[test]
fn a_large_transfer_is_exact_both_ways() {
    const SIZE: usize = 3 << 20;
    let mut bench = Bench::with(feature::EVENT_IDX, 4096);
    let (mut ports, mut server) = bench.open(1, 1);
    let data = pattern(SIZE);
    let (mut up, mut down, mut at_host, mut at_guest) = (0, 0, Vec::new(), Vec::new());
    let mut room = AHEAD;
    while at_host.len() < SIZE || at_guest.len() < SIZE {
        if down < SIZE {
            down += server.write(&data[down..]).unwrap_or(0);
        }
        let len = 60_000.min(SIZE - up).min(room - up);
        if len > 0 {
            bench.send(ports, OP_RW, &data[up..up + len]);
            up += len;
        }
        at_host.extend(read_some(&server));
        for packet in bench.everything() {
            at_guest.extend(packet.data);
            let taken = usize::try_from(packet.header.fwd_cnt.get()).unwrap();
            room = taken + usize::try_from(packet.header.buf_alloc.get()).unwrap();
        }
        ports.credit.1 = u32::try_from(at_guest.len()).unwrap();
        bench.send(ports, OP_CREDIT_UPDATE, &[]);
    }
    assert!(at_host == data);
    assert!(at_guest == data);
}

#[test]
fn buffers_too_small_for_a_packet_go_back_empty() {
    let mut bench = Bench::new();
    let (_, mut server) = bench.open(1, 1);
    drain_buffers(&mut bench);
    server.write_all(b"data").unwrap();
    bench.guest.pump();
    for len in [1, 43, 44] {
        let buffer = Segment { addr: BUFFERS, len, flags: desc::WRITE };
        let head = bench.guest.queues[RX].add(&bench.guest.mem, &[buffer]);
        bench.guest.kick(0);
        assert_eq!(bench.guest.used(RX), Some((head.into(), 0)), "{len}");
    }
    assert_eq!(bench.only().data, b"data");
}
