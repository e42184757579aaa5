use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};

use vm_memory::VolatileSlice;
use vmm_core::sys;

use super::{NetBackend, Offloads};

/// One end of a pair of sockets, for tests: each datagram is a packet. One that
/// finds no room is lost, as on a tap, unless the end is
/// [patient](SocketNet::patient).
#[derive(Debug)]
pub struct SocketNet {
    socket: UnixDatagram,
    offloads: Arc<Mutex<Offloads>>,
    is_patient: bool,
}

impl SocketNet {
    /// A backend, and the peer that sees its packets. Neither blocks.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn pair() -> io::Result<(Self, UnixDatagram)> {
        let (socket, peer) = UnixDatagram::pair()?;
        socket.set_nonblocking(true)?;
        peer.set_nonblocking(true)?;
        Ok((Self { socket, offloads: Arc::default(), is_patient: false }, peer))
    }

    /// The same, but packets wait for room.
    pub fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// The offloads set last, as they change.
    pub fn offloads(&self) -> Arc<Mutex<Offloads>> {
        Arc::clone(&self.offloads)
    }
}

impl NetBackend for SocketNet {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn mtu(&self) -> Option<u16> {
        Some(1500)
    }

    fn offloads(&self) -> Offloads {
        Offloads::ALL
    }

    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        *self.offloads.lock().unwrap_or_else(PoisonError::into_inner) = offloads;
        Ok(())
    }

    fn set_enabled(&mut self, _enabled: bool) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, room: &[VolatileSlice<'_>]) -> io::Result<usize> {
        sys::read_once(&self.socket, room)
    }

    fn has_packet(&self) -> bool {
        false
    }

    fn relieve(&mut self) -> bool {
        false
    }

    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()> {
        match sys::write_once(&self.socket, packet) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_patient => Ok(()),
            result => result.map(drop),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
