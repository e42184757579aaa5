use super::*;
use crate::virtio::{VirtioDevice, spec};

#[test]
fn the_driver_learns_its_address_and_that_there_are_streams() {
    let (backend, _host) = MemoryVsock::new(0).unwrap();
    let device = Vsock::new(0xffff_fffe, Box::new(backend)).unwrap();
    assert_eq!(device.info().id, 19);
    assert_eq!(device.info().id, spec::ID_VSOCK);
    assert_eq!(device.info().features, F_STREAM);
    let mut config = [0xaa; 12];
    device.read_config(0, &mut config);
    assert_eq!(config, [0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_connection_of_the_guest_reaches_the_host() {
    for features in [0, feature::EVENT_IDX] {
        let mut bench = Bench::with(features, 4096);
        let (ports, mut server) = bench.open(1000, 5);
        bench.send(ports, OP_RW, b"hello");
        assert_eq!(read_some(&server), b"hello");
        server.write_all(b"world").unwrap();
        bench.guest.pump();
        let answer = bench.only();
        ports.check(&answer);
        assert_eq!((answer.op(), &answer.data[..]), (OP_RW, &b"world"[..]));
        assert_eq!(answer.header.fwd_cnt.get(), 5);
        assert!(bench.guest.regs.take_interrupts() != 0);
    }
}

#[test]
fn a_port_that_nobody_serves_is_refused() {
    let mut bench = Bench::new();
    let ports = Ports { guest: 9, host: SERVED, credit: (0, 0) };
    bench.send(ports, OP_REQUEST, &[]);
    let answer = bench.only();
    ports.check(&answer);
    assert_eq!(answer.op(), OP_RST);
    // Nothing is left of it.
    bench.send(Ports { host: 1, ..ports }, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RESPONSE);
}

#[test]
fn a_client_of_the_host_reaches_the_guest() {
    let mut bench = Bench::new();
    let (ports, mut client) = bench.opened_by_host(77);
    client.write_all(b"ping").unwrap();
    bench.guest.pump();
    assert_eq!(bench.only().data, b"ping");
    bench.send(ports, OP_RW, b"pong");
    assert_eq!(read_some(&client), b"pong");
}

#[test]
fn a_client_may_send_ahead_and_in_any_pieces() {
    let mut bench = Bench::new();
    let mut client = bench.host.connect().unwrap();
    for byte in b"connect 77\nahe" {
        client.write_all(&[*byte]).unwrap();
        bench.guest.pump();
    }
    client.write_all(b"ad").unwrap();
    // The end of its data is no end of the connection.
    client.shutdown(std::net::Shutdown::Write).unwrap();
    bench.guest.pump();
    let request = bench.only();
    let host = request.header.src_port.get();
    let ports = Ports { guest: 77, host, credit: (GUEST_BUFFER, 0) };
    bench.send(ports, OP_RESPONSE, &[]);
    let packets = bench.everything();
    assert_eq!(packets[0].data, b"ahead");
    assert_eq!(packets[1].op(), OP_SHUTDOWN);
    assert_eq!(packets[1].header.flags.get(), SHUTDOWN_SEND);
    bench.send(ports, OP_RW, b"answer");
    assert_eq!(read_some(&client), format!("OK {host}\nanswer").as_bytes());
}

#[test]
fn a_client_that_the_guest_refuses_sees_the_end() {
    let mut bench = Bench::new();
    let mut client = bench.host.connect().unwrap();
    client.write_all(b"CONNECT 77\n").unwrap();
    bench.guest.pump();
    let request = bench.only();
    let ports = Ports { guest: 77, host: request.header.src_port.get(), credit: (0, 0) };
    bench.send(ports, OP_RST, &[]);
    assert!(is_ended(&client));
    assert_eq!(bench.everything(), []);
}

#[test]
fn a_client_that_goes_before_the_answer_is_forgotten() {
    let mut bench = Bench::new();
    let mut client = bench.host.connect().unwrap();
    client.write_all(b"CONNECT 77\n").unwrap();
    bench.guest.pump();
    let request = bench.only();
    drop(client);
    bench.guest.pump();
    assert_eq!(bench.only().op(), OP_RST);
    // The guest's answer was on its way.
    let ports = Ports { guest: 77, host: request.header.src_port.get(), credit: (0, 0) };
    bench.send(ports, OP_RESPONSE, &[]);
    assert_eq!(bench.only().op(), OP_RST);
}

#[test]
fn each_client_gets_another_port() {
    let mut bench = Bench::new();
    let (first, _client) = bench.opened_by_host(5);
    let (second, _another) = bench.opened_by_host(5);
    assert_ne!(first.host, second.host);
    assert!(first.host >= 1 << 30 && second.host >= 1 << 30);
}

#[test]
fn a_client_that_says_something_else_is_sent_away() {
    let mut bench = Bench::new();
    for text in [&b"HELLO\n"[..], b"CONNECT x\n", &[b'x'; 40]] {
        let mut client = bench.host.connect().unwrap();
        client.write_all(text).unwrap();
        bench.guest.pump();
        assert!(is_ended(&client));
    }
    let client = bench.host.connect().unwrap();
    (&client).write_all(b"CONNECT 7").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    bench.guest.pump();
    assert!(is_ended(&client));
    assert_eq!(bench.everything(), []);
}

#[test]
fn clients_may_come_before_the_driver() {
    let (backend, host) = MemoryVsock::new(0).unwrap();
    let mut guest = Guest::mmio(Vsock::new(CID, Box::new(backend)).unwrap());
    let mut client = host.connect().unwrap();
    client.write_all(b"CONNECT 5\n").unwrap();
    guest.pump();
    guest.start(feature::VERSION_1);
    guest.queues[RX].add(&guest.mem, &[write_only(BUFFERS, 64)]);
    guest.kick(0);
    assert_eq!(guest.used(RX), Some((0, 44)));
}

#[test]
fn a_reset_of_the_device_ends_every_connection() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    let (_, client) = bench.opened_by_host(2);
    bench.guest.regs.set_status(0);
    assert!(is_ended(&server) && is_ended(&client));
    bench.guest.start(feature::VERSION_1 | F_STREAM);
    bench.places.clear();
    bench.send(ports, OP_RW, b"x");
    assert_eq!(bench.only().op(), OP_RST);
}

#[test]
fn what_a_guest_sent_before_its_reset_still_arrives() {
    let mut bench = Bench::new();
    let (ports, server) = bench.open(1, 1);
    let sent = fill(&mut bench, ports);
    bench.guest.regs.set_status(0);
    let mut got = read_some(&server);
    while !is_ended_after(&mut bench, &server, &mut got) {}
    assert!(got == sent);
}

/// Sends until the device will not take more; what that was.
pub(super) fn fill(bench: &mut Bench, ports: Ports) -> Vec<u8> {
    let mut sent = Vec::new();
    let (mut room, mut taken) = (u32::try_from(AHEAD).unwrap(), 0);
    loop {
        let left = room - (u32::try_from(sent.len()).unwrap() - taken);
        if left == 0 {
            bench.everything();
            bench.send(ports, OP_CREDIT_REQUEST, &[]);
            let answer = bench.only().header;
            if answer.fwd_cnt.get() == taken {
                return sent;
            }
            (room, taken) = (answer.buf_alloc.get(), answer.fwd_cnt.get());
            continue;
        }
        let data: Vec<u8> = pattern(sent.len() + 8000).split_off(sent.len());
        let data = &data[..usize::try_from(left).unwrap().min(8000)];
        bench.send(ports, OP_RW, data);
        sent.extend(data);
    }
}

/// Reads what is there, lets the device work, and says whether that was all.
pub(super) fn is_ended_after(
    bench: &mut Bench,
    mut stream: &UnixStream,
    got: &mut Vec<u8>,
) -> bool {
    bench.guest.pump();
    let mut bytes = [0; 65536];
    match stream.read(&mut bytes) {
        Ok(0) => true,
        Ok(len) => {
            got.extend(&bytes[..len]);
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    }
}
