use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, VsockAddr, connect, socket};

use super::error::AgentError;
use crate::agent::protocol::{self, FROM_GUEST_MAX, FrameError, Opening, PORT, ToHost};

/// The host's address (VIRTIO 1.2 §5.10.4).
const HOST: u32 = 2;

/// A connection to the host that is for `opening`.
pub(super) fn open(opening: &Opening) -> Result<File, AgentError> {
    let connection = File::from(dial().map_err(AgentError::NoSockets)?);
    protocol::write(&connection, opening, FROM_GUEST_MAX)?;
    Ok(connection)
}

fn dial() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Vsock, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &VsockAddr::new(HOST, PORT))?;
    Ok(socket)
}

/// The control connection, for whoever has something to say.
#[derive(Clone)]
pub(super) struct Control(Arc<Mutex<File>>);

impl Control {
    pub(super) fn new(connection: File) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    /// Says `message` to the host.
    pub(super) fn say(&self, message: &ToHost) -> Result<(), FrameError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        protocol::write(&*connection, message, FROM_GUEST_MAX)
    }
}
