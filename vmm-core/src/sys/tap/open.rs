//! Ways to get a tap.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::request::{flags, ioctl, name as name_of, request, short};
use super::{HEADER_LEN, Offloads, Tap, TapError};

const TUN: &str = "/dev/net/tun";

/// How packets look on every tap: Ethernet frames behind a virtio header.
const FLAGS: libc::c_int = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;

impl Tap {
    /// Attaches to `queues` queues of the tap `name`, at least one, or makes
    /// it with so many and brings it up. Of a tap with several queues that was
    /// there before, one may be asked for.
    ///
    /// # Errors
    /// [`TapError`], a sentence that names the interface and the remedy.
    pub fn open(name: &str, queues: u16) -> Result<Vec<Self>, TapError> {
        let c_name = check(name)?;
        let mut multi = queues > 1;
        let mut taps = Vec::with_capacity(queues.into());
        let mut existed = true;
        for _ in 0..queues.max(1) {
            let file = open_tun(name)?;
            if taps.is_empty() {
                // SAFETY: `c_name` ends in NUL and lives during the call.
                existed = unsafe { libc::if_nametoindex(c_name.as_ptr()) } != 0;
                multi = attach_first(&file, name, &c_name, multi, existed)?;
            } else {
                attach(&file, &c_name, multi)
                    .map_err(|source| attach_error(name, multi, existed, source))?;
            }
            taps.push(Self::prepared(file, name.to_owned(), true)?);
        }
        if !existed {
            bring_up(&c_name).map_err(host(name, "bring the link up"))?;
        }
        Ok(taps)
    }

    /// A queue of a tap that whoever started this process has opened as
    /// descriptor `number`, which is not to be inherited any further. It may
    /// be of another network namespace: its interface is not touched.
    ///
    /// # Errors
    /// [`TapError`], if it is not open, or none of a tap with the flags
    /// `IFF_TAP`, `IFF_NO_PI` and `IFF_VNET_HDR`.
    pub fn inherit(number: RawFd) -> Result<Self, TapError> {
        let none = |_| TapError::Descriptor { number };
        let copy = File::from(copy_of(number).map_err(none)?);
        let mut tap = request(&CString::default());
        ioctl(&copy, libc::TUNGETIFF, &mut tap).map_err(none)?;
        let name = name_of(&tap);
        if flags(&tap) & FLAGS != FLAGS {
            return Err(TapError::Flags { number, name });
        }
        let flags = fcntl(&copy, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        flags
            .and_then(|flags| fcntl(&copy, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)))
            .map_err(|error| host(&name, "take the descriptor")(error.into()))?;
        Self::prepared(copy, name, false)
    }

    /// One queue, attached, with headers of the right length.
    fn prepared(file: File, name: String, is_by_name: bool) -> Result<Self, TapError> {
        let mut tap = Self { file, name, is_by_name, has_uso: false };
        let mut len = HEADER_LEN;
        ioctl(&tap.file, libc::TUNSETVNETHDRSZ, &mut len)
            .map_err(host(&tap.name, "set the header length"))?;
        // Linux 6.2 has it.
        tap.has_uso = tap.set_offloads(Offloads::ALL).is_ok();
        tap.set_offloads(Offloads::default()).map_err(host(&tap.name, "clear the offloads"))?;
        Ok(tap)
    }
}

/// A descriptor for what is open as `number`, which programs that this process
/// starts do not get either. Whoever opened `number` keeps it: this process
/// never closes what it did not open.
fn copy_of(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: neither request takes a pointer, and of a number that is not
    // open both say so.
    let copy = unsafe {
        libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3)
    };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// For `map_err`: the host refuses to do `what` with the tap `name`.
pub(super) fn host(name: &str, what: &'static str) -> impl FnOnce(io::Error) -> TapError {
    move |source| TapError::Host { name: name.to_owned(), what, source }
}

/// An interface's name as the kernel takes it.
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

/// Attaches to the first queue; says whether the tap takes several. The
/// kernel refuses a second process itself only where there is one queue.
fn attach_first(
    file: &File,
    name: &str,
    c_name: &CString,
    multi: bool,
    existed: bool,
) -> Result<bool, TapError> {
    let was_taken = existed && has_carrier(name);
    let mut attached = attach(file, c_name, multi).map(|()| multi);
    let is_wrong_kind = |error: &io::Error| existed && error.raw_os_error() == Some(libc::EINVAL);
    if !multi && attached.as_ref().is_err_and(is_wrong_kind) {
        attached = attach(file, c_name, true).map(|()| true);
    }
    let multi = attached.map_err(|source| attach_error(name, multi, existed, source))?;
    if multi && was_taken {
        return Err(TapError::Busy { name: name.to_owned() });
    }
    Ok(multi)
}

fn attach(file: &File, name: &CString, multi: bool) -> io::Result<()> {
    let mut request = request(name);
    let multi = if multi { libc::IFF_MULTI_QUEUE } else { 0 };
    request.ifr_ifru.ifru_flags = short(FLAGS | multi);
    ioctl(file, libc::TUNSETIFF, &mut request)
}

/// Whether somebody is attached to a tap that is up: the cable is plugged in.
fn has_carrier(name: &str) -> bool {
    fs::read(format!("/sys/class/net/{name}/carrier")).is_ok_and(|text| text.starts_with(b"1"))
}

fn attach_error(name: &str, multi: bool, existed: bool, source: io::Error) -> TapError {
    let name = name.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if existed => TapError::Denied { name },
        Some(libc::EPERM | libc::EACCES) => TapError::Absent { name },
        Some(libc::EBUSY) => TapError::Busy { name },
        Some(libc::EINVAL) if existed && multi => TapError::SingleQueue { name },
        Some(libc::EINVAL) if existed => TapError::Kind { name },
        _ => TapError::Host { name, what: "attach", source },
    }
}

fn bring_up(name: &CString) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    let mut request = request(name);
    ioctl(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    request.ifr_ifru.ifru_flags = short(flags(&request) | libc::IFF_UP);
    ioctl(&socket, libc::SIOCSIFFLAGS, &mut request)
}
