use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{setsockopt, sockopt};
use vm_memory::VolatileSlice;
use vmm_core::sys;
use vmm_sys_util::epoll::EventSet;

use super::backlog::Backlog;
use super::connection::{Connection, Due};
use super::poller::Poller;
use super::table::Token;
use crate::virtio::queue::Buffer;
use crate::virtio::spec::vsock::{SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND};

/// The most pieces that one read fills (`IOV_MAX`).
const MAX_PIECES: usize = 1024;

/// What every socket takes in any case, in bytes: Linux's own choice is 208 KiB.
const ENOUGH: usize = 128 << 10;

/// A connection and its Unix socket.
pub(super) struct Link {
    pub(super) connection: Connection,
    /// Whether this waits in the line of those that the guest is to hear of.
    pub(super) is_queued: bool,
    /// Whether the connection has ended, and only what the guest had sent is
    /// still on its way to the host's end.
    is_orphan: bool,
    stream: Outlet,
    /// Whether the socket may have something to read, be it its end.
    is_readable: bool,
    /// Whether the other side sends no more: its end is there to be read.
    is_ending: bool,
    /// Whether the other side has closed the socket in both directions.
    has_hung_up: bool,
}

/// Where the guest's data go.
struct Outlet {
    socket: UnixStream,
    backlog: Backlog,
    /// What the backlog may hold, in bytes.
    capacity: usize,
    /// Whether the socket takes nothing any more.
    is_closed: bool,
    /// Whether the socket's end follows the backlog.
    ends: bool,
}

/// What a read from the socket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes.
    Data(usize),
    /// Nothing: none are there, or there is news of another kind.
    Nothing,
}

impl Link {
    /// `connection` over `socket`, which may have something to read already;
    /// `capacity` is what the connection allows the guest to send.
    pub(super) fn new(
        connection: Connection,
        socket: UnixStream,
        capacity: u32,
        is_readable: bool,
    ) -> Self {
        let capacity = usize::try_from(capacity).expect("this is a 64-bit program");
        enlarge(&socket, capacity);
        let stream =
            Outlet { socket, backlog: Backlog::default(), capacity, is_closed: false, ends: false };
        Self {
            connection,
            is_queued: false,
            is_orphan: false,
            stream,
            is_readable,
            is_ending: false,
            has_hung_up: false,
        }
    }

    /// What the guest is to get next.
    pub(super) fn due(&self) -> Option<Due> {
        if self.is_orphan { None } else { self.connection.due(self.is_readable) }
    }

    /// The socket.
    pub(super) fn socket(&self) -> &UnixStream {
        &self.stream.socket
    }

    /// Tells the client that the guest has accepted.
    pub(super) fn say_accepted(&mut self) {
        let line = format!("OK {}\n", self.connection.key().host_port);
        // The socket is empty, so that it takes all of this or is gone.
        if (&self.stream.socket).write_all(line.as_bytes()).is_err() {
            self.connection.fail();
        }
    }

    /// Sends the guest's data on; what does not go at once is kept.
    pub(super) fn write(&mut self, data: Buffer<'_>, poller: &Poller, token: Token) {
        let done = self.stream.write(data, poller, token);
        self.account(done);
    }

    /// Takes note of what happened to the socket.
    pub(super) fn happens(&mut self, set: EventSet, poller: &Poller, token: Token) {
        if set.contains(EventSet::OUT) {
            let done = self.stream.flush(poller, token);
            self.account(done);
        }
        let has_hung_up = set.intersects(EventSet::HANG_UP | EventSet::ERROR);
        self.is_ending |= has_hung_up || set.contains(EventSet::READ_HANG_UP);
        self.is_readable |= self.is_ending || set.contains(EventSet::IN);
        if has_hung_up {
            self.has_hung_up = true;
            if self.connection.is_asking() {
                self.connection.fail();
            } else if !self.connection.wants_data() {
                self.connection.host_is_done(SHUTDOWN_BOTH);
            }
        }
    }

    /// The guest is done with what `flags` say.
    pub(super) fn guest_is_done(&mut self, flags: u32) {
        if flags & SHUTDOWN_RECEIVE != 0 {
            // Fails only if the other side has closed it, which is as well.
            let _ = self.stream.socket.shutdown(Shutdown::Read);
        }
        if flags & SHUTDOWN_SEND != 0 {
            self.stream.end();
        }
    }

    /// Reads from the socket to `pieces`, which are not empty.
    pub(super) fn read(&mut self, pieces: &[VolatileSlice<'_>]) -> Read {
        match sys::read_once(&self.stream.socket, pieces) {
            Ok(0) => {
                let over = if self.has_hung_up { SHUTDOWN_BOTH } else { SHUTDOWN_SEND };
                self.connection.host_is_done(over);
                Read::Nothing
            }
            Ok(len) => {
                let asked: usize = pieces.iter().take(MAX_PIECES).map(VolatileSlice::len).sum();
                // Less than asked for is all there was, until the next edge.
                self.is_readable = len == asked || self.is_ending;
                Read::Data(len)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                Read::Nothing
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Read::Nothing,
            Err(_) => {
                self.connection.fail();
                Read::Nothing
            }
        }
    }

    /// Ends the connection; returns whether it stays as an orphan, which has
    /// data left for the host's end.
    pub(super) fn retire(&mut self) -> bool {
        self.is_orphan = !self.stream.backlog.is_empty();
        self.stream.end();
        self.is_orphan
    }

    /// Whether the connection has ended, though this is still there.
    pub(super) fn is_orphan(&self) -> bool {
        self.is_orphan
    }

    /// Whether nothing is left for the host's end.
    pub(super) fn is_flushed(&self) -> bool {
        self.stream.backlog.is_empty()
    }

    fn account(&mut self, done: usize) {
        self.connection.forward(u32::try_from(done).expect("credit has 32 bits"));
        if self.stream.is_closed {
            self.connection.host_is_done(SHUTDOWN_RECEIVE);
        }
    }
}

/// Has the socket take `capacity` bytes for a program that reads slowly, if
/// the kernel's own choice is less and the host allows it: what fits there is
/// not copied to the backlog, and wakes the program less often.
fn enlarge(socket: &UnixStream, capacity: usize) {
    if capacity <= ENOUGH {
        return;
    }
    // Linux doubles the number, for its own structures.
    let size = capacity / 2;
    if setsockopt(socket, sockopt::SndBufForce, &size).is_err() {
        // Up to the host's limit for all. If not even that, it is as it was.
        let _ = setsockopt(socket, sockopt::SndBuf, &size);
    }
}

impl Outlet {
    /// Returns how many bytes are kept no longer: of these and of others.
    fn write(&mut self, mut data: Buffer<'_>, poller: &Poller, token: Token) -> usize {
        if data.is_empty() {
            return 0;
        }
        let mut done = 0;
        if self.backlog.is_empty() && !self.is_closed {
            done = match sys::write_once(&self.socket, data.pieces()) {
                Ok(len) => len,
                Err(error) => self.failed(&error),
            };
            data.split_front(done);
        }
        if self.is_closed {
            return done + data.len();
        }
        if !data.is_empty() {
            let was_empty = self.backlog.is_empty();
            self.backlog.push(&data, self.capacity);
            if was_empty {
                poller.watch_room(&self.socket, token, true);
            }
        }
        done
    }

    /// Writes what was kept, as far as it goes; returns how much is kept no
    /// longer.
    fn flush(&mut self, poller: &Poller, token: Token) -> usize {
        if self.backlog.is_empty() {
            return 0;
        }
        let mut done = 0;
        while !self.backlog.is_empty() && !self.is_closed {
            match (&self.socket).write_vectored(&self.backlog.slices()) {
                Ok(0) => self.is_closed = true,
                Ok(len) => {
                    self.backlog.consume(len);
                    done += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return done,
                Err(error) => {
                    self.failed(&error);
                }
            }
        }
        done += self.backlog.len();
        self.backlog = Backlog::default();
        poller.watch_room(&self.socket, token, false);
        if self.ends {
            self.end();
        }
        done
    }

    /// The other side sees the end of the stream, once it has all of it.
    fn end(&mut self) {
        self.ends = true;
        if self.backlog.is_empty() {
            // Fails only if the other side has closed it, which is as well.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// Notes that the socket takes nothing, now or for good. Says 0.
    fn failed(&mut self, error: &io::Error) -> usize {
        let again = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
        self.is_closed |= !again.contains(&error.kind());
        0
    }
}
