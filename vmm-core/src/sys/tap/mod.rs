//! Tap interfaces: an Ethernet cable whose other end is a descriptor.
#![expect(unsafe_code, reason = "tap interfaces are driven by ioctls")]

mod error;
mod open;
mod request;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixDatagram;

pub use error::TapError;
use open::host;
use request::{ioctl, ioctl_value, request, short};

/// Length of the virtio header before each packet, in bytes.
const HEADER_LEN: libc::c_int = 12;

/// Work on packets that one end may leave to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Packets may come without checksum; the others need it.
    pub csum: bool,
    /// TCP over IPv4 may come in large segments.
    pub tso4: bool,
    /// TCP over IPv6 may come in large segments.
    pub tso6: bool,
    /// UDP over both may come in large segments.
    pub uso: bool,
}

impl Offloads {
    /// All that there are.
    pub const ALL: Self = Self { csum: true, tso4: true, tso6: true, uso: true };
}

/// One queue of a tap interface, non-blocking. Each read or write is one
/// packet behind a virtio header of 12 bytes. The interface vanishes when its
/// last queue is closed, unless it was there before.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
    /// Whether `name` is in this process's network namespace.
    is_by_name: bool,
    has_uso: bool,
}

impl Tap {
    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the host can do for this end, or leave to it.
    pub fn offloads(&self) -> Offloads {
        Offloads { uso: self.has_uso, ..Offloads::ALL }
    }

    /// Says what packets this end takes; of a tap with several queues, what
    /// all do.
    ///
    /// # Errors
    /// What the host said.
    pub fn set_offloads(&self, offloads: Offloads) -> io::Result<()> {
        let bit = |on, bit| if on { bit } else { 0 };
        // Large segments come without checksum, so they need both.
        let bits = bit(offloads.csum, libc::TUN_F_CSUM)
            | bit(offloads.csum && offloads.tso4, libc::TUN_F_TSO4)
            | bit(offloads.csum && offloads.tso6, libc::TUN_F_TSO6)
            | bit(offloads.csum && offloads.uso, libc::TUN_F_USO4 | libc::TUN_F_USO6);
        ioctl_value(&self.file, libc::TUNSETOFFLOAD, bits.into())
    }

    /// Has this queue of a tap with several take part or not: one that does
    /// not gets no packets.
    ///
    /// # Errors
    /// What the host said, as if it took part already.
    pub fn set_attached(&self, attached: bool) -> io::Result<()> {
        let flags = if attached { libc::IFF_ATTACH_QUEUE } else { libc::IFF_DETACH_QUEUE };
        let mut request = request(&CString::default());
        request.ifr_ifru.ifru_flags = short(flags);
        ioctl(&self.file, libc::TUNSETQUEUE, &mut request)
    }

    /// The largest packet without its Ethernet header, in bytes.
    ///
    /// # Errors
    /// What the host said; `Unsupported` for a tap that was inherited.
    pub fn mtu(&self) -> io::Result<u32> {
        let mut request = self.interface()?;
        ioctl(&UnixDatagram::unbound()?, libc::SIOCGIFMTU, &mut request)?;
        request::mtu(&request)
    }

    /// Makes the MTU `mtu` bytes, unless it is that already. That of a tap
    /// that was inherited stays as it is.
    ///
    /// # Errors
    /// [`TapError::Mtu`] if this user may not.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), TapError> {
        if !self.is_by_name {
            return Ok(());
        }
        let wanted = mtu.into();
        let has = self.mtu().map_err(host(&self.name, "read the MTU"))?;
        if has == wanted {
            return Ok(());
        }
        let result = UnixDatagram::unbound().and_then(|socket| {
            let mut request = self.interface()?;
            request.ifr_ifru.ifru_mtu = libc::c_int::from(mtu);
            ioctl(&socket, libc::SIOCSIFMTU, &mut request)
        });
        result.map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                TapError::Mtu { name: self.name.clone(), has, wanted }
            }
            _ => host(&self.name, "set the MTU")(source),
        })
    }

    /// A request about the interface.
    fn interface(&self) -> io::Result<libc::ifreq> {
        if !self.is_by_name {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let name = CString::new(self.name.as_str()).expect("checked when opened");
        Ok(request(&name))
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
