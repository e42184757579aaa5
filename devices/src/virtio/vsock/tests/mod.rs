mod backlog;
mod connection;
mod credit;
mod device;
mod hostile;
mod local;
mod many;
mod model;
mod nap;
mod stream;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use zerocopy::{FromBytes, IntoBytes};

use super::*;
use crate::backend::vsock::{MemoryHost, MemoryVsock, VsockBackend};
use crate::programs::NoneStarts;
use crate::virtio::spec::feature;
use crate::virtio::spec::vsock::*;
use crate::virtio::testing::*;

const RX: usize = 0;
const TX: usize = 1;
const CID: u32 = 42;
/// Where buffers for packets to the guest lie, one after the other.
const BUFFERS: u64 = 0x10_0000;
/// Where packets from the guest are made.
const PACKETS: u64 = 0x30_0000;
/// What the device takes ahead on the first connections.
const AHEAD: usize = 1 << 20;
/// The guest's buffer, if a test says nothing else.
const GUEST_BUFFER: u32 = 1 << 20;
/// Ports below this are served on the host.
const SERVED: u32 = 100;

/// A packet as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    header: Header,
    data: Vec<u8>,
}

impl Packet {
    fn op(&self) -> u16 {
        self.header.op.get()
    }
}

/// A driver of a socket device, and the host's programs.
struct Bench {
    guest: Guest<MmioRegisters>,
    host: MemoryHost,
    /// Size of the buffers for packets to the guest.
    size: u32,
    /// Buffers that are with the device, by head.
    places: std::collections::HashMap<u32, u64>,
    next_place: u64,
    /// That a stream has ended is to be seen at once.
    _none_starts: NoneStarts,
}

impl Bench {
    fn new() -> Self {
        Self::with(feature::EVENT_IDX, 4096)
    }

    fn with(features: u64, size: u32) -> Self {
        let (backend, host) = MemoryVsock::new(SERVED).unwrap();
        Self::start(backend, host, features, size)
    }

    fn of(backend: impl VsockBackend + 'static, host: MemoryHost) -> Self {
        Self::start(backend, host, feature::EVENT_IDX, 4096)
    }

    fn start(
        backend: impl VsockBackend + 'static,
        host: MemoryHost,
        features: u64,
        size: u32,
    ) -> Self {
        let mut guest = Guest::mmio(Vsock::new(CID, Box::new(backend)).unwrap());
        guest.start(feature::VERSION_1 | F_STREAM | features);
        let places = std::collections::HashMap::new();
        Self { guest, host, size, places, next_place: 0, _none_starts: NoneStarts::new() }
    }

    /// Makes `count` buffers available to the device.
    fn offer(&mut self, count: usize) {
        for _ in 0..count {
            let at = BUFFERS + self.next_place * u64::from(self.size);
            self.next_place = (self.next_place + 1) % (0x20_0000 / u64::from(self.size));
            let chain = [write_only(at, self.size)];
            let head = self.guest.queues[RX].add(&self.guest.mem, &chain);
            self.places.insert(head.into(), at);
        }
        self.guest.kick(0);
    }

    /// The packets that the device has put into buffers.
    fn received(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some((head, len)) = self.guest.used(RX) {
            let at = self.places.remove(&head).expect("the buffer was with the device");
            let bytes = self.guest.read(at, len.try_into().unwrap());
            let (header, data) = Header::read_from_prefix(&bytes).unwrap();
            assert_eq!(usize::try_from(header.len.get()).unwrap(), data.len());
            assert_eq!(header.src_cid.get(), CID_HOST);
            assert_eq!(header.dst_cid.get(), u64::from(CID));
            packets.push(Packet { header, data: data.to_vec() });
        }
        packets
    }

    /// Everything that the device has for the guest now.
    fn everything(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        loop {
            let free = 64 - self.places.len();
            self.offer(free);
            let more = self.received();
            if more.is_empty() {
                return packets;
            }
            packets.extend(more);
        }
    }

    /// The only packet that the device has for the guest.
    #[track_caller]
    fn only(&mut self) -> Packet {
        let packets = self.everything();
        assert_eq!(packets.len(), 1, "{packets:?}");
        packets.into_iter().next().unwrap()
    }

    fn send_raw(&mut self, header: &Header, data: &[u8]) {
        self.guest.write(PACKETS, &[header.as_bytes(), data].concat());
        let len = u32::try_from(HEADER_LEN + data.len()).unwrap();
        let head = self.guest.queues[TX].add(&self.guest.mem, &[read_only(PACKETS, len)]);
        self.guest.kick(1);
        assert_eq!(self.guest.taken(TX), (head.into(), 0));
    }

    /// Sends a packet of a connection.
    fn send(&mut self, ports: Ports, op: u16, data: &[u8]) {
        self.send_raw(&ports.header(op, data.len()), data);
    }

    fn shut_down(&mut self, ports: Ports, flags: u32) {
        let header = Header { flags: flags.into(), ..ports.header(OP_SHUTDOWN, 0) };
        self.send_raw(&header, &[]);
    }

    /// A connection that the guest opens, and the host's end of it.
    fn open(&mut self, guest_port: u32, host_port: u32) -> (Ports, UnixStream) {
        let ports = Ports { guest: guest_port, host: host_port, credit: (GUEST_BUFFER, 0) };
        self.send(ports, OP_REQUEST, &[]);
        let mut accepted = self.host.accepted();
        assert_eq!(accepted.len(), 1);
        let (port, stream) = accepted.pop().unwrap();
        assert_eq!(port, host_port);
        let answer = self.only();
        assert_eq!(answer.op(), OP_RESPONSE);
        ports.check(&answer);
        (ports, stream)
    }

    /// A connection that a client of the host opens, and the client's end.
    fn opened_by_host(&mut self, guest_port: u32) -> (Ports, UnixStream) {
        let mut client = self.host.connect().unwrap();
        writeln!(client, "CONNECT {guest_port}").unwrap();
        self.guest.pump();
        let request = self.only();
        assert_eq!(request.op(), OP_REQUEST);
        assert_eq!(request.header.dst_port.get(), guest_port);
        let host = request.header.src_port.get();
        let ports = Ports { guest: guest_port, host, credit: (GUEST_BUFFER, 0) };
        self.send(ports, OP_RESPONSE, &[]);
        assert_eq!(read_some(&client), format!("OK {host}\n").as_bytes());
        (ports, client)
    }
}

/// Both ports of a connection, and what the guest says of its buffer.
#[derive(Clone, Copy, Debug)]
struct Ports {
    guest: u32,
    host: u32,
    /// `buf_alloc` and `fwd_cnt`.
    credit: (u32, u32),
}

impl Ports {
    fn header(self, op: u16, len: usize) -> Header {
        Header {
            src_cid: u64::from(CID).into(),
            dst_cid: CID_HOST.into(),
            src_port: self.guest.into(),
            dst_port: self.host.into(),
            len: u32::try_from(len).unwrap().into(),
            kind: TYPE_STREAM.into(),
            op: op.into(),
            flags: 0.into(),
            buf_alloc: self.credit.0.into(),
            fwd_cnt: self.credit.1.into(),
        }
    }

    /// Whether the packet is of this connection.
    #[track_caller]
    fn check(self, packet: &Packet) {
        assert_eq!(packet.header.src_port.get(), self.host);
        assert_eq!(packet.header.dst_port.get(), self.guest);
        assert_eq!(packet.header.kind.get(), TYPE_STREAM);
    }
}

/// What is there to be read now.
fn read_some(mut stream: &UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    let mut len = 0;
    loop {
        match stream.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    bytes.truncate(len);
    bytes
}

/// Whether the stream has ended, with nothing left to be read.
fn is_ended(mut stream: &UnixStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// `len` bytes, different from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i ^ (i >> 8)) % 251).unwrap()).collect()
}
