//! Requests about interfaces, as the kernel takes them.

use std::ffi::CString;
use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

/// An interface request for `name`, which is shorter than `IFNAMSIZ`.
pub(super) fn request(name: &CString) -> libc::ifreq {
    // SAFETY: all members are numbers, arrays of numbers or a raw pointer,
    // for which zero bits are valid.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request
}

/// The interface's name that the kernel filled in.
pub(super) fn name(request: &libc::ifreq) -> String {
    let bytes: Vec<u8> = request.ifr_name.iter().map(|c| c.to_ne_bytes()[0]).collect();
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// The flags that the kernel filled in.
pub(super) fn flags(request: &libc::ifreq) -> libc::c_int {
    // SAFETY: the callers made a request that fills this member of the union;
    // any bits are a number.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    // The number has 16 bits without a sign.
    libc::c_int::from(flags.cast_unsigned())
}

/// The MTU that the kernel filled in, in bytes.
pub(super) fn mtu(request: &libc::ifreq) -> io::Result<u32> {
    // SAFETY: the callers made a request that fills this member of the union;
    // any bits are a number.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Flags as a request holds them.
pub(super) fn short(flags: libc::c_int) -> libc::c_short {
    u16::try_from(flags).expect("interface flags have 16 bits").cast_signed()
}

/// Makes a request that takes a number.
pub(super) fn ioctl_value(
    fd: &impl AsRawFd,
    code: libc::Ioctl,
    value: libc::c_ulong,
) -> io::Result<()> {
    // SAFETY: the callers name requests that take a number, not a pointer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), code, value) })
}

/// Makes a request that reads or writes one `T`, as `code` tells the kernel.
pub(super) fn ioctl<T>(fd: &impl AsRawFd, code: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    let argument: *mut T = argument;
    // SAFETY: the callers pair each code with the type that it takes, and the
    // exclusive borrow outlives the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), code, argument) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
