use std::net::Shutdown;
use std::sync::mpsc::TryRecvError;

use super::*;
use crate::backend::vsock::{LocalPorts, LocalVsock};

const PORT: u32 = 1024;

/// A driver of a device without any path, and the process's own ports.
fn bench(backlog: usize) -> (Bench, std::sync::mpsc::Receiver<UnixStream>) {
    let mut ports = LocalPorts::default();
    let incoming = ports.open(PORT, backlog);
    let (_, host) = MemoryVsock::new(0).unwrap();
    let mut bench = Bench::of(LocalVsock::new(ports, None::<MemoryVsock>), host);
    bench.guest.pump();
    (bench, incoming)
}

fn ports(guest: u32) -> Ports {
    Ports { guest, host: PORT, credit: (GUEST_BUFFER, 0) }
}

#[test]
fn a_stream_of_this_process_carries_bytes_and_both_ends() {
    let (mut bench, incoming) = bench(1);
    let ports = ports(7);
    bench.send(ports, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RESPONSE);
    let mut stream = incoming.try_recv().unwrap();
    bench.send(ports, OP_RW, b"to the host");
    let mut seen = [0; 11];
    // It blocks, as its owner's threads want it.
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"to the host");
    stream.write_all(b"to the guest").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    bench.guest.pump();
    let packets = bench.everything();
    assert_eq!(packets.iter().map(Packet::op).collect::<Vec<_>>(), [OP_RW, OP_SHUTDOWN]);
    assert_eq!(packets[0].data, b"to the guest");
    // The other direction is still open, until the guest ends it.
    bench.send(ports, OP_RW, b"more");
    bench.shut_down(ports, SHUTDOWN_SEND);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"more");
}

#[test]
fn a_device_without_a_path_refuses_other_ports() {
    let (mut bench, _incoming) = bench(1);
    bench.send(Ports { host: PORT + 1, ..ports(7) }, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RST);
}

#[test]
fn no_more_connections_wait_than_there_is_room_for() {
    let (mut bench, incoming) = bench(2);
    for guest in 0..2 {
        bench.send(ports(guest), OP_REQUEST, &[]);
        assert_eq!(bench.only().op(), OP_RESPONSE);
    }
    bench.send(ports(2), OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RST);
    drop(incoming.try_recv().unwrap());
    bench.guest.pump();
    assert_eq!(bench.only().op(), OP_SHUTDOWN);
    bench.send(ports(2), OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RESPONSE);
}

#[test]
fn a_port_closes_with_its_receiver_and_the_channel_ends_with_the_device() {
    let (mut bench, incoming) = bench(2);
    drop(incoming);
    bench.send(ports(1), OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RST);
    let (bench, incoming) = self::bench(2);
    assert_eq!(incoming.try_recv().unwrap_err(), TryRecvError::Empty);
    drop(bench);
    assert_eq!(incoming.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

#[test]
fn ports_of_this_process_come_before_those_with_a_path() {
    let (others, host) = MemoryVsock::new(SERVED).unwrap();
    let mut own = LocalPorts::default();
    let incoming = own.open(5, 1);
    let mut bench = Bench::of(LocalVsock::new(own, Some(others)), host);
    bench.send(Ports { host: 5, ..ports(1) }, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RESPONSE);
    let _stream = incoming.try_recv().unwrap();
    assert!(bench.host.accepted().is_empty());
    let _other = bench.open(2, 6);
    let _client = bench.opened_by_host(80);
    assert!(incoming.try_recv().is_err());
}
