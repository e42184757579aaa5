use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{GREETING_MAX, Greeting, VsockBackend, read_greeting};

/// A host without a file system, for tests: clients and servers are pairs of
/// sockets that [`MemoryHost`] has the other ends of.
#[derive(Debug)]
pub struct MemoryVsock {
    /// Readable while clients wait.
    bell: UnixStream,
    host: MemoryHost,
}

/// The host's programs.
#[derive(Clone, Debug)]
pub struct MemoryHost {
    inner: Arc<Mutex<Inner>>,
    bell: Arc<UnixStream>,
}

#[derive(Debug, Default)]
struct Inner {
    clients: VecDeque<UnixStream>,
    /// Ports below this one are served.
    served: u32,
    /// What the guest connected to, and the server's end.
    accepted: Vec<(u32, UnixStream)>,
}

impl MemoryVsock {
    /// A host that serves the ports below `served`.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(served: u32) -> io::Result<(Self, MemoryHost)> {
        let (bell, ringer) = pair()?;
        let inner = Arc::new(Mutex::new(Inner { served, ..Inner::default() }));
        let host = MemoryHost { inner, bell: Arc::new(ringer) };
        Ok((Self { bell, host: host.clone() }, host))
    }
}

impl MemoryHost {
    /// A new client of the device's socket; does not block.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let (client, peer) = pair()?;
        let mut inner = self.lock();
        inner.clients.push_back(peer);
        // Fails only when it is full, and then it rings anyway.
        let _ = (&*self.bell).write(&[1]);
        Ok(client)
    }

    /// The streams that the guest has opened since the last call, with their
    /// ports; they do not block.
    pub fn accepted(&self) -> Vec<(u32, UnixStream)> {
        std::mem::take(&mut self.lock().accepted)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VsockBackend for MemoryVsock {
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn accept(&mut self) -> io::Result<UnixStream> {
        let mut inner = self.host.lock();
        inner.clients.pop_front().ok_or_else(|| {
            let mut rung = [0; 256];
            while (&self.bell).read(&mut rung).is_ok_and(|len| len > 0) {}
            io::ErrorKind::WouldBlock.into()
        })
    }

    fn connect(&mut self, port: u32) -> io::Result<UnixStream> {
        let mut inner = self.host.lock();
        if port >= inner.served {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (stream, peer) = pair()?;
        inner.accepted.push((port, peer));
        Ok(stream)
    }
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (one, other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((one, other))
}

/// Plays `data` as what a client says first, in pieces as its first byte
/// says. Whatever it is, all that follows a greeting is left for the stream.
///
/// # Panics
/// If the greeting depends on the pieces, or takes more than its line.
pub fn play_greeting(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let (client, mut peer) = pair().expect("the host has descriptors");
    let data = &data[..data.len().min(4096)];
    let whole = Greeting::parse(data);
    let mut sent = 0;
    let mut greeting = Greeting::Partial;
    for piece in data.chunks(usize::from(*size % 64) + 1) {
        peer.write_all(piece).expect("an empty socket takes it");
        sent += piece.len();
        greeting = read_greeting(&client).expect("the client is there");
        if greeting != Greeting::Partial {
            break;
        }
        assert!(sent < GREETING_MAX, "a line has an end");
    }
    assert_eq!(greeting, whole);
    if let Greeting::Port { len, .. } = greeting {
        drop(peer);
        let mut rest = Vec::new();
        (&client).read_to_end(&mut rest).expect("the client is there");
        assert_eq!(rest, data[len..sent]);
    }
}
