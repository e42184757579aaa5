use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::table::Token;

/// Events that one look takes, at most.
const BATCH: usize = 64;
/// Stands for the listener, which is in no table.
const LISTENER: u64 = u64::MAX;

/// Sockets and what happens to them: an epoll of the device's own, which the
/// event loop watches. Sockets come and go while no loop is at hand, and
/// their events carry a [`Token`], so that a late one finds nothing.
///
/// Streams are watched for edges: what is seen once is remembered in
/// [`super::link::Link`], and a socket that waits for the guest costs nothing.
pub(super) struct Poller {
    epoll: Epoll,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// A client waits to be accepted.
    Client,
    /// Something about a stream.
    Stream(Token, EventSet),
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new()? })
    }

    /// Readable while something has happened.
    pub(super) fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Watches for clients, as long as any wait.
    pub(super) fn listen(&self, listener: BorrowedFd<'_>) -> io::Result<()> {
        let event = EpollEvent::new(EventSet::IN, LISTENER);
        self.epoll.ctl(ControlOperation::Add, listener.as_raw_fd(), event)
    }

    /// Watches for no more clients.
    pub(super) fn stop_listening(&self, listener: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.ctl(ControlOperation::Delete, listener.as_raw_fd(), EpollEvent::default())
    }

    /// Watches `stream` for data and its end.
    pub(super) fn add(&self, stream: impl AsFd, token: Token) -> io::Result<()> {
        self.control(ControlOperation::Add, stream, token, EventSet::empty())
    }

    /// Watches `stream` also for room, or no more. Must have been added.
    pub(super) fn watch_room(&self, stream: impl AsFd, token: Token, on: bool) {
        let more = if on { EventSet::OUT } else { EventSet::empty() };
        self.control(ControlOperation::Modify, stream, token, more)
            .expect("the stream was added and is still open");
    }

    fn control(
        &self,
        operation: ControlOperation,
        stream: impl AsFd,
        token: Token,
        more: EventSet,
    ) -> io::Result<()> {
        let set = EventSet::IN | EventSet::READ_HANG_UP | EventSet::EDGE_TRIGGERED | more;
        let event = EpollEvent::new(set, token.to_number());
        self.epoll.ctl(operation, stream.as_fd().as_raw_fd(), event)
    }

    /// What has happened: some of it, if much has.
    pub(super) fn happenings(&self) -> Vec<Happening> {
        let mut events = [EpollEvent::default(); BATCH];
        let count = self.epoll.wait(0, &mut events).unwrap_or_else(|error| {
            log::debug!("virtio-vsock: sockets cannot be watched: {error}");
            0
        });
        let happening = |event: &EpollEvent| match event.data() {
            LISTENER => Happening::Client,
            number => Happening::Stream(Token::from_number(number), event.event_set()),
        };
        events[..count].iter().map(happening).collect()
    }
}
