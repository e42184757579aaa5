use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::VsockBackend;

/// Ports of the host (CID 2) that this process serves itself: a guest that
/// connects to one reaches a socket of a pair, and nothing has a path.
#[derive(Debug, Default)]
pub struct LocalPorts(BTreeMap<u32, SyncSender<UnixStream>>);

impl LocalPorts {
    /// Serves `port`, in place of whatever served it before. What the guest
    /// connects comes out of the channel, as streams that block; they end
    /// when the guest, or the device, is done with them.
    ///
    /// At most `backlog` connections wait there; one more is refused, and so
    /// are all once the receiver is gone: that closes the port. The channel
    /// ends with the device.
    pub fn open(&mut self, port: u32, backlog: usize) -> Receiver<UnixStream> {
        let (sender, receiver) = sync_channel(backlog);
        self.0.insert(port, sender);
        receiver
    }

    /// Whether no port is served.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A host's side that serves some ports in this process, and has the others
/// and all clients from another one, if there is one.
pub struct LocalVsock<B> {
    ports: LocalPorts,
    others: Option<B>,
}

impl<B: VsockBackend> LocalVsock<B> {
    /// `ports` before those of `others`.
    pub fn new(ports: LocalPorts, others: Option<B>) -> Self {
        Self { ports, others }
    }
}

impl<B: VsockBackend> VsockBackend for LocalVsock<B> {
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        self.others.as_ref()?.poll_fd()
    }

    fn accept(&mut self) -> io::Result<UnixStream> {
        self.others.as_mut().map_or(Err(io::ErrorKind::WouldBlock.into()), VsockBackend::accept)
    }

    fn connect(&mut self, port: u32) -> io::Result<UnixStream> {
        let Some(server) = self.ports.0.get(&port) else {
            let refused = Err(io::ErrorKind::ConnectionRefused.into());
            return self.others.as_mut().map_or(refused, |others| others.connect(port));
        };
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        server.try_send(theirs).map_err(|error| match error {
            TrySendError::Full(_) => io::ErrorKind::WouldBlock,
            TrySendError::Disconnected(_) => io::ErrorKind::ConnectionRefused,
        })?;
        Ok(ours)
    }
}
