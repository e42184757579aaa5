use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use vmm_sys_util::epoll::EventSet;

use super::Header;
pub use super::client::MAX_CLIENTS;
use super::client::{self, Clients};
use super::connection::{Connection, Due, Key, Outcome};
use super::link::Link;
use super::poller::{Happening, Poller};
use super::table::{Table, Token};
use crate::backend::vsock::VsockBackend;
use crate::virtio::nap::Flow;
use crate::virtio::queue::Buffer;
use crate::virtio::spec::vsock::{CID_HOST, OP_REQUEST, OP_RST, OP_RW, TYPE_STREAM};

/// The most connections, those counted that have ended and whose data still
/// go to a slow program of the host. One more is refused with a reset.
pub const MAX_CONNECTIONS: usize = 1024;

/// What the guest may send ahead on a connection, in bytes, while there are
/// few; it bounds what is kept for slow programs of the host. Linux makes use
/// of more than 256 KiB only where a program has asked for that.
const BUF_ALLOC: u32 = 1 << 20;
/// The same for a connection beyond [`FEW`]: all together keep 79 MiB at most.
const BUF_ALLOC_OF_MANY: u32 = 64 << 10;
const FEW: usize = 16;

/// Resets that wait for buffers of the guest, for packets that belong to no
/// connection. With these the device takes no more packets (VIRTIO 1.2
/// §5.10.6.1).
const MAX_RESETS: usize = 128;

/// All connections of a device with their sockets.
pub(super) struct Hub {
    cid: u64,
    pub(super) backend: Box<dyn VsockBackend>,
    pub(super) poller: Poller,
    pub(super) peers: Table<Peer>,
    pub(super) clients: Clients,
    pub(super) links: HashMap<Key, Token>,
    orphans: usize,
    /// Links that the guest is to hear of, each once, in turn.
    ready: VecDeque<Token>,
    resets: VecDeque<Header>,
    /// What the guest sent.
    flow: Flow,
    pub(super) next_port: u32,
    pub(super) is_listening: bool,
}

/// What a socket is of.
pub(super) enum Peer {
    /// A client that has not said which port it wants.
    Client(UnixStream),
    /// A connection, or what is left of one.
    Link(Link),
}

/// What the guest is to get next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A reset of no connection, whole.
    Reset(Header),
    /// Something of a connection.
    Link(Token, Due),
}

impl Hub {
    pub(super) fn new(cid: u32, backend: Box<dyn VsockBackend>) -> io::Result<Self> {
        let poller = Poller::new()?;
        if let Some(listener) = backend.poll_fd() {
            poller.listen(listener)?;
        }
        Ok(Self {
            cid: cid.into(),
            backend,
            poller,
            peers: Table::new(),
            clients: Clients::default(),
            links: HashMap::new(),
            orphans: 0,
            ready: VecDeque::new(),
            resets: VecDeque::new(),
            flow: Flow::default(),
            next_port: client::FIRST_PORT,
            is_listening: true,
        })
    }

    /// Readable while [`Hub::poll`] has something to do.
    pub(super) fn poll_fd(&self) -> RawFd {
        self.poller.fd()
    }

    /// Ends all connections: the guest has forgotten them. What it had sent
    /// still goes to the host.
    pub(super) fn reset(&mut self) {
        self.resets.clear();
        let tokens: Vec<_> = self.links.values().copied().collect();
        for token in tokens {
            self.end(token);
        }
    }

    /// Sees to what has happened to sockets.
    pub(super) fn poll(&mut self) {
        for happening in self.poller.happenings() {
            match happening {
                Happening::Client => self.accept(),
                Happening::Stream(token, set) => self.stream_happens(token, set),
            }
        }
    }

    fn stream_happens(&mut self, token: Token, set: EventSet) {
        match self.peers.get_mut(token) {
            Some(Peer::Client(_)) => {
                let is_over = set.intersects(EventSet::READ_HANG_UP | EventSet::HANG_UP);
                self.greet(token, !is_over);
            }
            Some(Peer::Link(link)) => {
                link.happens(set, &self.poller, token);
                if link.is_orphan() && link.is_flushed() {
                    self.remove_orphan(token);
                } else {
                    self.schedule(token);
                }
            }
            None => {}
        }
    }

    /// Whether packets from the guest have to wait until it takes some.
    pub(super) fn is_choked(&self) -> bool {
        self.resets.len() >= MAX_RESETS
    }

    /// Takes a packet from the guest: `data` is what follows the header.
    pub(super) fn take(&mut self, header: &Header, mut data: Buffer<'_>) {
        if header.src_cid.get() != self.cid {
            log::debug!("virtio-vsock: a packet from a foreign address is dropped");
            return;
        }
        let is_ours = header.dst_cid.get() == CID_HOST && header.kind.get() == TYPE_STREAM;
        if !is_ours {
            return self.refuse(header);
        }
        let key = Key { guest_port: header.src_port.get(), host_port: header.dst_port.get() };
        let Some(token) = self.links.get(&key).copied() else {
            return self.take_first(key, header);
        };
        let Some(Peer::Link(link)) = self.peers.get_mut(token) else { return };
        let len = usize::try_from(header.len.get()).unwrap_or(usize::MAX);
        let is_whole = header.op.get() != OP_RW || len <= data.len();
        let outcome = if is_whole { link.connection.take(header) } else { Outcome::Broken };
        match outcome {
            Outcome::Nothing => {}
            Outcome::Opened => link.say_accepted(),
            Outcome::Data(bytes) => {
                self.flow.add(bytes.into(), link.connection.window().into());
                link.write(data.split_front(len), &self.poller, token);
            }
            Outcome::Over(flags) => link.guest_is_done(flags),
            Outcome::Reset => return self.end(token),
            Outcome::Finished | Outcome::Broken => {
                self.refuse(header);
                return self.end(token);
            }
        }
        self.schedule(token);
    }

    /// What the guest has sent since the last call.
    pub(super) fn take_flow(&mut self) -> Flow {
        std::mem::take(&mut self.flow)
    }

    /// Takes a packet of no connection.
    fn take_first(&mut self, key: Key, header: &Header) {
        if header.op.get() != OP_REQUEST || !self.has_room() {
            return self.refuse(header);
        }
        let socket = match self.backend.connect(key.host_port) {
            Ok(socket) => socket,
            Err(error) => {
                log::debug!("virtio-vsock: port {} of the host: {error}", key.host_port);
                return self.refuse(header);
            }
        };
        let capacity = self.buf_alloc();
        let connection = Connection::accepted(key, header, capacity);
        let token = self.peers.insert(Peer::Link(Link::new(connection, socket, capacity, false)));
        self.links.insert(key, token);
        let Some(Peer::Link(link)) = self.peers.get_mut(token) else { return };
        if let Err(error) = self.poller.add(link.socket(), token) {
            log::debug!("virtio-vsock: a socket cannot be watched: {error}");
            self.refuse(header);
            return self.end(token);
        }
        self.schedule(token);
    }

    /// Answers a packet with a reset, unless it is one.
    fn refuse(&mut self, header: &Header) {
        if header.op.get() != OP_RST {
            self.resets.push_back(Header {
                src_cid: header.dst_cid,
                dst_cid: header.src_cid,
                src_port: header.dst_port,
                dst_port: header.src_port,
                kind: header.kind,
                op: OP_RST.into(),
                ..Header::default()
            });
        }
    }

    /// What the guest is to get next.
    pub(super) fn due(&mut self) -> Option<Work> {
        if let Some(reset) = self.resets.front() {
            return Some(Work::Reset(*reset));
        }
        while let Some(token) = self.ready.front().copied() {
            if let Some(Peer::Link(link)) = self.peers.get_mut(token) {
                if let Some(due) = link.due() {
                    return Some(Work::Link(token, due));
                }
                link.is_queued = false;
            }
            self.ready.pop_front();
        }
        None
    }

    /// The link of a [`Work`] that is due.
    pub(super) fn link(&mut self, token: Token) -> &mut Link {
        match self.peers.get_mut(token) {
            Some(Peer::Link(link)) => link,
            _ => unreachable!("what is due is there"),
        }
    }

    /// The header of a packet of `link` to the guest, with its credit.
    pub(super) fn header(&mut self, token: Token, op: u16, flags: u32, len: u32) -> Header {
        let cid = self.cid;
        let connection = &mut self.link(token).connection;
        let (key, (buf_alloc, fwd_cnt)) = (connection.key(), connection.tell_credit());
        Header {
            src_cid: CID_HOST.into(),
            dst_cid: cid.into(),
            src_port: key.host_port.into(),
            dst_port: key.guest_port.into(),
            len: len.into(),
            kind: TYPE_STREAM.into(),
            op: op.into(),
            flags: flags.into(),
            buf_alloc: buf_alloc.into(),
            fwd_cnt: fwd_cnt.into(),
        }
    }

    /// Notes that what was due has had its turn; `sent` is a packet without
    /// data that is with the guest now.
    pub(super) fn turn(&mut self, work: Work, sent: Option<(u16, u32)>) {
        let Work::Link(token, _) = work else {
            self.resets.pop_front();
            return;
        };
        let link = self.link(token);
        let is_last = sent.is_some_and(|(op, flags)| link.connection.sent(op, flags));
        self.ready.rotate_left(1);
        if is_last {
            self.end(token);
        }
    }

    /// Puts a link at the end of the line, if the guest is to hear of it.
    pub(super) fn schedule(&mut self, token: Token) {
        if let Some(Peer::Link(link)) = self.peers.get_mut(token)
            && !link.is_queued
            && link.due().is_some()
        {
            link.is_queued = true;
            self.ready.push_back(token);
        }
    }

    /// Whether there may be one more connection.
    pub(super) fn has_room(&self) -> bool {
        self.links.len() + self.orphans < MAX_CONNECTIONS
    }

    pub(super) fn buf_alloc(&self) -> u32 {
        let is_few = self.links.len() + self.orphans < FEW;
        if is_few { BUF_ALLOC } else { BUF_ALLOC_OF_MANY }
    }

    /// Ends a connection. What it still has for the host stays, as an orphan.
    fn end(&mut self, token: Token) {
        let link = self.link(token);
        let (key, was_queued, stays) = (link.connection.key(), link.is_queued, link.retire());
        self.links.remove(&key);
        if was_queued {
            self.ready.retain(|queued| *queued != token);
        }
        self.orphans += 1;
        if !stays {
            self.remove_orphan(token);
        }
    }

    fn remove_orphan(&mut self, token: Token) {
        self.peers.remove(token);
        self.orphans -= 1;
        self.listen();
    }
}
