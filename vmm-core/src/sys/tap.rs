//! Tap interfaces: an Ethernet cable whose other end is a descriptor.
#![expect(unsafe_code, reason = "tap interfaces are driven by ioctls")]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;

const TUN: &str = "/dev/net/tun";

/// Length of the virtio header before each packet, in bytes.
const HEADER_LEN: libc::c_int = 12;

/// Why a tap interface cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapError {
    /// No interface can have that name.
    #[error(
        "`{name}` is no name for a tap interface: 1 to 15 characters without `/`, `%` or space"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The host cannot do taps.
    #[error("/dev/net/tun does not exist; `modprobe tun` may bring it")]
    NoTun,
    /// The host does not let this user do taps.
    #[error("/dev/net/tun cannot be opened: permission denied; check its mode")]
    TunDenied,
    /// The interface is not there and may not be made.
    #[error(
        "tap {name} does not exist, and making one takes CAP_NET_ADMIN; \
         as root: `ip tuntap add {name} mode tap user USER` and `ip link set {name} up`"
    )]
    Absent {
        /// The interface.
        name: String,
    },
    /// The interface belongs to somebody else.
    #[error("tap {name} may not be used: permission denied; it belongs to another user")]
    Denied {
        /// The interface.
        name: String,
    },
    /// Another process has it.
    #[error("tap {name} is in use by another process")]
    Busy {
        /// The interface.
        name: String,
    },
    /// It is some other kind of interface.
    #[error("interface {name} is no tap, or one with several queues")]
    Kind {
        /// The interface.
        name: String,
    },
    /// Its MTU is another, and this user may not change it.
    #[error(
        "tap {name} has an MTU of {has}, and setting {wanted} takes CAP_NET_ADMIN; \
         as root: `ip link set {name} mtu {wanted}`"
    )]
    Mtu {
        /// The interface.
        name: String,
        /// What it has, in bytes.
        has: u32,
        /// What was asked for, in bytes.
        wanted: u32,
    },
    /// Anything else that the host said.
    #[error("cannot {what} for tap {name}")]
    Host {
        /// The interface.
        name: String,
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

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

/// A tap interface, non-blocking. Each read or write is one packet behind a
/// virtio header of 12 bytes. It vanishes when closed, unless it was there
/// before.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
    has_uso: bool,
}

impl Tap {
    /// Attaches to the tap `name`, or makes it and brings it up.
    ///
    /// # Errors
    /// [`TapError`], a sentence that names the interface and the remedy.
    pub fn open(name: &str) -> Result<Self, TapError> {
        let c_name = check(name)?;
        let file = open_tun(name)?;
        // SAFETY: `c_name` ends in NUL and lives during the call.
        let existed = unsafe { libc::if_nametoindex(c_name.as_ptr()) } != 0;
        let mut request = request(&c_name);
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = short(flags);
        ioctl(&file, libc::TUNSETIFF, &mut request)
            .map_err(|source| attach_error(name, existed, source))?;

        let mut tap = Self { file, name: name.to_owned(), has_uso: false };
        let mut len = HEADER_LEN;
        ioctl(&tap.file, libc::TUNSETVNETHDRSZ, &mut len)
            .map_err(tap.host("set the header length"))?;
        // Linux 6.2 has it.
        tap.has_uso = tap.set_offloads(Offloads::ALL).is_ok();
        tap.set_offloads(Offloads::default()).map_err(tap.host("clear the offloads"))?;
        if !existed {
            tap.bring_up(&c_name).map_err(tap.host("bring the link up"))?;
        }
        Ok(tap)
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the host can do for this end, or leave to it.
    pub fn offloads(&self) -> Offloads {
        Offloads { uso: self.has_uso, ..Offloads::ALL }
    }

    /// Says what packets this end takes.
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
        // SAFETY: this request takes a number, not a pointer.
        check_ioctl(unsafe {
            libc::ioctl(self.file.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(bits))
        })
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
    /// What the host said.
    pub fn mtu(&self) -> io::Result<u32> {
        let name = CString::new(self.name.as_str()).expect("checked when opened");
        let mut request = request(&name);
        ioctl(&UnixDatagram::unbound()?, libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: SIOCGIFMTU fills this member of the union; any bits are a number.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Makes the MTU `mtu` bytes, unless it is that already.
    ///
    /// # Errors
    /// [`TapError::Mtu`] if this user may not.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), TapError> {
        let wanted = mtu.into();
        let has = self.mtu().map_err(self.host("read the MTU"))?;
        if has == wanted {
            return Ok(());
        }
        let name = CString::new(self.name.as_str()).expect("checked when opened");
        let mut request = request(&name);
        request.ifr_ifru.ifru_mtu = libc::c_int::from(mtu);
        let result = UnixDatagram::unbound()
            .and_then(|socket| ioctl(&socket, libc::SIOCSIFMTU, &mut request));
        result.map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                TapError::Mtu { name: self.name.clone(), has, wanted }
            }
            _ => self.host("set the MTU")(source),
        })
    }

    fn bring_up(&self, name: &CString) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        let mut request = request(name);
        ioctl(&socket, libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS fills this member of the union; any bits are a number.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        request.ifr_ifru.ifru_flags = flags | short(libc::IFF_UP);
        ioctl(&socket, libc::SIOCSIFFLAGS, &mut request)
    }

    fn host(&self, what: &'static str) -> impl Fn(io::Error) -> TapError {
        let name = self.name.clone();
        move |source| TapError::Host { name: name.clone(), what, source }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn check(name: &str) -> Result<CString, TapError> {
    let is_wrong = |c: char| c == '/' || c == '%' || c.is_whitespace() || c.is_control();
    let wrong = name.is_empty() || name.len() >= libc::IFNAMSIZ || name == "." || name == "..";
    if wrong || name.contains(is_wrong) {
        return Err(TapError::Name { name: name.to_owned() });
    }
    CString::new(name).map_err(|_| TapError::Name { name: name.to_owned() })
}

fn open_tun(name: &str) -> Result<File, TapError> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(TUN).map_err(
        |source| match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoTun,
            Some(libc::EACCES | libc::EPERM) => TapError::TunDenied,
            _ => TapError::Host { name: name.to_owned(), what: "open /dev/net/tun", source },
        },
    )
}

fn attach_error(name: &str, existed: bool, source: io::Error) -> TapError {
    let name = name.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if existed => TapError::Denied { name },
        Some(libc::EPERM | libc::EACCES) => TapError::Absent { name },
        Some(libc::EBUSY) => TapError::Busy { name },
        Some(libc::EINVAL) if existed => TapError::Kind { name },
        _ => TapError::Host { name, what: "attach", source },
    }
}

/// An interface request for `name`, which is shorter than `IFNAMSIZ`.
fn request(name: &CString) -> libc::ifreq {
    // SAFETY: all members are numbers, arrays of numbers or a raw pointer,
    // for which zero bits are valid.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request
}

fn short(flags: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(flags).expect("interface flags have 16 bits")
}

/// Makes a request that reads or writes one `T`, as `code` tells the kernel.
fn ioctl<T>(fd: &impl AsRawFd, code: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    let argument: *mut T = argument;
    // SAFETY: the callers in this file pair each code with the type that it
    // takes, and the exclusive borrow outlives the call.
    check_ioctl(unsafe { libc::ioctl(fd.as_raw_fd(), code, argument) })
}

fn check_ioctl(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
