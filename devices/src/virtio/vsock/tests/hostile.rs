use super::*;

#[test]
fn packets_that_belong_nowhere_are_answered_with_a_reset() {
    let mut bench = Bench::new();
    let ports = Ports { guest: 1, host: 1, credit: (100, 0) };
    for op in [OP_RESPONSE, OP_SHUTDOWN, OP_RW, OP_CREDIT_UPDATE, OP_CREDIT_REQUEST, 0, 99] {
        bench.send(ports, op, &[]);
        let answer = bench.only();
        ports.check(&answer);
        assert_eq!(answer.op(), OP_RST, "{op}");
    }
    bench.send(ports, OP_RST, &[]);
    assert_eq!(bench.everything(), [], "a reset is never answered");
}

#[test]
fn a_wrong_sender_is_dropped() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    for cid in [0, 2, 41, 43, u64::from(CID) | 1 << 32] {
        let header = Header { src_cid: cid.into(), ..ports.header(OP_RW, 1) };
        bench.send_raw(&header, b"x");
    }
    assert_eq!(bench.everything(), []);
    assert_eq!(read_some(&server), b"");
}

#[test]
fn other_addresses_and_kinds_are_refused() {
    let mut bench = Bench::new();
    let ports = Ports { guest: 1, host: 1, credit: (100, 0) };
    let request = ports.header(OP_REQUEST, 0);
    for cid in [0, 1, 3, u64::from(CID), u64::MAX] {
        bench.send_raw(&Header { dst_cid: cid.into(), ..request }, &[]);
        bench.guest.queues[RX].add(&bench.guest.mem, &[write_only(BUFFERS, 100)]);
        bench.guest.kick(0);
        assert!(bench.guest.used(RX).is_some());
        let answer = Header::read_from_bytes(&bench.guest.read(BUFFERS, 44)).unwrap();
        assert_eq!((answer.op.get(), answer.src_cid.get()), (OP_RST, cid));
    }
    for kind in [0, 2, u16::MAX] {
        bench.send_raw(&Header { kind: kind.into(), ..request }, &[]);
        let answer = bench.only();
        assert_eq!((answer.op(), answer.header.kind.get()), (OP_RST, kind));
    }
    assert!(bench.host.accepted().is_empty());
}

#[test]
fn a_cut_packet_does_nothing_and_a_lie_about_its_length_ends_the_connection() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    let header = ports.header(OP_RW, 5);
    bench.guest.write(PACKETS, header.as_bytes());
    for len in [0, 1, 43] {
        bench.guest.queues[TX].add(&bench.guest.mem, &[read_only(PACKETS, len)]);
        bench.guest.kick(1);
        assert!(bench.guest.used(TX).is_some());
    }
    assert_eq!(bench.everything(), []);
    bench.send_raw(&header, b"four");
    assert_eq!(bench.only().op(), OP_RST);
    assert!(is_ended(&server));
    assert!(!bench.guest.is_reset_needed());
}

#[test]
fn more_than_the_credit_ends_the_connection() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    let sent = device::fill(&mut bench, ports);
    bench.send(ports, OP_RW, b"x");
    assert_eq!(bench.only().op(), OP_RST);
    let mut got = Vec::new();
    while !device::is_ended_after(&mut bench, &server, &mut got) {}
    assert!(got == sent, "what was allowed arrives");
}

#[test]
fn data_after_the_end_break_the_connection() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    bench.shut_down(ports, SHUTDOWN_SEND);
    bench.send(ports, OP_RW, b"x");
    assert_eq!(bench.only().op(), OP_RST);
    assert!(is_ended(&server));
}

#[test]
fn a_second_request_for_the_same_ports_breaks_the_connection() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    bench.send(ports, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RST);
    assert!(is_ended(&server));
    let (ports, server) = bench.open(1, 1);
    bench.send(ports, OP_RW, b"anew");
    assert_eq!(read_some(&server), b"anew");
}

#[test]
fn a_guest_that_never_takes_its_resets_is_not_heard_for_ever() {
    let mut bench = Bench::new();
    let ports = Ports { guest: 1, host: 1, credit: (100, 0) };
    let header = ports.header(OP_RW, 0);
    bench.guest.write(PACKETS, header.as_bytes());
    let mut taken = 0;
    for _ in 0..200 {
        bench.guest.queues[TX].add(&bench.guest.mem, &[read_only(PACKETS, 44)]);
        bench.guest.kick(1);
        taken += usize::from(bench.guest.used(TX).is_some());
    }
    assert_eq!(taken, 128);
    // As it takes them, the rest is heard.
    assert_eq!(bench.everything().len(), 200);
    while bench.guest.used(TX).is_some() {
        taken += 1;
    }
    assert_eq!(taken, 200);
}

#[test]
fn connections_that_come_and_go_leave_nothing_in_the_line() {
    let mut bench = Bench::new();
    let ports = Ports { guest: 1, host: 1, credit: (100, 0) };
    // The guest takes no answer, and gives each connection up.
    for _ in 0..2000 {
        bench.send(ports, OP_REQUEST, &[]);
        bench.send(ports, OP_RST, &[]);
    }
    assert_eq!(bench.host.accepted().iter().filter(|(_, s)| !is_ended(s)).count(), 0);
    assert_eq!(bench.everything(), []);
}

#[test]
fn an_event_buffer_stays_with_the_device() {
    let mut bench = Bench::new();
    bench.guest.queues[2].add(&bench.guest.mem, &[write_only(BUFFERS, 8)]);
    bench.guest.kick(2);
    assert_eq!(bench.guest.used(2), None);
    assert!(!bench.guest.is_reset_needed());
}
