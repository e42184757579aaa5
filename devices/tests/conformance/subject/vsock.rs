use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;

use devices::backend::vsock::{LocalPorts, LocalVsock, MemoryHost, MemoryVsock};
use devices::virtio::spec::vsock::{CID_HOST, OP_REQUEST, OP_RESPONSE, OP_RST, OP_RW, TYPE_STREAM};
use devices::virtio::testing::{Guest, Registers, Segment, read_only, write_only};
use devices::virtio::vsock::{Header, Vsock};
use zerocopy::{FromBytes, IntoBytes};

use super::{GOOD, Subject, run};

const CID: u32 = 3;
const HEADER: u32 = 44;
/// The port of the host that this process serves.
const PORT: u32 = 77;

/// A socket device, and a client on the host.
pub(crate) struct VsockSubject {
    host: MemoryHost,
    /// What the guest connects to in this process.
    incoming: Receiver<UnixStream>,
    /// Keeps something waiting for the guest.
    poker: Option<UnixStream>,
}

/// A packet of the guest's, with any ports and much room.
fn packet(guest: u32, host: u32, op: u16, len: u32) -> Header {
    Header {
        src_cid: u64::from(CID).into(),
        dst_cid: CID_HOST.into(),
        src_port: guest.into(),
        dst_port: host.into(),
        len: len.into(),
        kind: TYPE_STREAM.into(),
        op: op.into(),
        buf_alloc: (1 << 20).into(),
        ..Header::default()
    }
}

impl Subject for VsockSubject {
    type Device = Vsock;

    const QUEUES: u32 = 3;
    const SERVED: u32 = 1;

    fn new() -> (Self, Vsock) {
        let (backend, host) = MemoryVsock::new(0).expect("the host has descriptors");
        let mut ports = LocalPorts::default();
        let incoming = ports.open(PORT, 8);
        let backend = Box::new(LocalVsock::new(ports, Some(backend)));
        let device = Vsock::new(CID, backend).expect("the host has descriptors");
        (Self { host, incoming, poker: None }, device)
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        let mut client = self.host.connect().expect("the host has descriptors");
        client.write_all(b"CONNECT 1\n").expect("the socket is empty");
        self.poker = Some(client);
        guest.kick(queue);
    }

    /// A reset of no connection, which nobody answers.
    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        guest.write(GOOD, packet(1, 1, OP_RST, 0).as_bytes());
        vec![read_only(GOOD, HEADER)]
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        self.poker = None;
        for port in [1000, 1001] {
            let mut client = self.host.connect().expect("the host has descriptors");
            write!(client, "CONNECT {port}\nping").expect("the socket is empty");
            let request = receive(guest, port, OP_REQUEST).0;
            let host = request.src_port.get();
            send(guest, &packet(port, host, OP_RESPONSE, 0), b"");
            assert_eq!(receive(guest, port, OP_RW).1, b"ping");
            send(guest, &packet(port, host, OP_RW, 4), b"pong");
            let mut seen = [0; 64];
            let len = client.read(&mut seen).expect("the answer is there");
            assert_eq!(seen[..len], *format!("OK {host}\npong").as_bytes());
        }
        send(guest, &packet(1002, PORT, OP_REQUEST, 0), b"");
        receive(guest, 1002, OP_RESPONSE);
        send(guest, &packet(1002, PORT, OP_RW, 4), b"ping");
        let mut stream = self.incoming.try_recv().expect("the guest has connected");
        let mut seen = [0; 4];
        stream.read_exact(&mut seen).expect("the packet has arrived");
        assert_eq!(&seen, b"ping");
    }
}

/// The next packet of that kind to `port`, behind those that waited before.
fn receive<R: Registers>(guest: &mut Guest<R>, port: u32, op: u16) -> (Header, Vec<u8>) {
    const PLACE: u64 = GOOD + 0x1000;
    for _ in 0..1000 {
        guest.queues[0].add(&guest.mem, &[write_only(PLACE, 256)]);
        guest.kick(0);
        while let Some((_, len)) = guest.used(0) {
            let bytes = guest.read(PLACE, len.try_into().expect("a short packet"));
            let Ok((header, data)) = Header::read_from_prefix(&bytes) else { continue };
            if header.dst_port.get() == port && header.op.get() == op {
                return (header, data.to_vec());
            }
        }
    }
    panic!("the packet never arrived");
}

fn send<R: Registers>(guest: &mut Guest<R>, header: &Header, data: &[u8]) {
    guest.write(GOOD, &[header.as_bytes(), data].concat());
    let len = HEADER + u32::try_from(data.len()).expect("a short packet");
    assert_eq!(run(guest, 1, &[read_only(GOOD, len)]), 0);
}
