//! How much a vsock stream holds.
#![expect(unsafe_code, reason = "nix knows no options of vsock sockets")]

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Options of the level `AF_VSOCK`, of 8 bytes each (vsock(7)).
const BUFFER_SIZE: libc::c_int = 0;
const BUFFER_MAX_SIZE: libc::c_int = 2;

/// Lets the vsock stream `socket`, which is not connected yet, hold `size`
/// bytes that nobody has read: so much may its other end send ahead. The
/// kernel's own choice is 256 KiB.
///
/// # Errors
/// What the host said; the socket is then as good as before.
pub fn set_vsock_buffer(socket: &impl AsFd, size: u64) -> io::Result<()> {
    // The most comes first: the size is cut to it.
    set(socket, BUFFER_MAX_SIZE, size)?;
    set(socket, BUFFER_SIZE, size)
}

fn set(socket: &impl AsFd, option: libc::c_int, value: u64) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<u64>()).expect("8 fits");
    // SAFETY: both options read one number of 8 bytes, which lives during the
    // call.
    Errno::result(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::AF_VSOCK,
            option,
            (&raw const value).cast(),
            len,
        )
    })?;
    Ok(())
}
