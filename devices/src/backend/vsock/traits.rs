use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;

/// The host's side of a socket device. Never blocks, and neither do the
/// streams it gives.
pub trait VsockBackend: Send {
    /// Readable while a client waits to be accepted; the same descriptor for
    /// life. None if no client ever comes.
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;
    /// The next client, which is to say first which port it wants.
    ///
    /// # Errors
    /// `WouldBlock` if none waits; else what the host said.
    fn accept(&mut self) -> io::Result<UnixStream>;
    /// A stream to what serves `port` of the host.
    ///
    /// # Errors
    /// If nothing does, or it has no room for another now.
    fn connect(&mut self, port: u32) -> io::Result<UnixStream>;
}
