use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, VsockAddr, connect, socket};

use vmm_core::sys;

use super::error::AgentError;
use crate::agent::protocol::{self, FROM_GUEST_MAX, FrameError, Opening, PORT, ToHost};

/// The host's address (VIRTIO 1.2 §5.10.4).
const HOST: u32 = 2;

/// What a stream of the command's holds, in bytes: as much as Kiln does. With
/// less, its two ends wait for each other more often.
const ROOM: u64 = 1 << 20;

/// A connection to the host that is for `opening`.
pub(super) fn open(opening: &Opening) -> Result<File, AgentError> {
    let room = match opening {
        Opening::Control { .. } => None,
        Opening::Stream(_) => Some(ROOM),
    };
    let connection = File::from(dial(room).map_err(AgentError::NoSockets)?);
    protocol::write(&connection, opening, FROM_GUEST_MAX)?;
    Ok(connection)
}

fn dial(room: Option<u64>) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Vsock, SockType::Stream, flags, None)?;
    if let Some(room) = room {
        // With the kernel's own choice it works, too.
        let _ = sys::set_vsock_buffer(&socket, room);
    }
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
