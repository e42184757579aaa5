#![expect(unsafe_code, reason = "nix has no safe way to ask for a terminal's size, or to take one")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// How large the terminal behind `fd` is: its columns and rows, 0 where nobody
/// has said. `None` if `fd` is no terminal.
pub fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`, exclusively borrowed until the
    // call returns.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some((size.ws_col, size.ws_row))
}

/// Says how large the terminal behind `fd` is, in columns and rows; what runs
/// on it is told by SIGWINCH.
///
/// # Errors
/// If `fd` is no terminal.
pub fn resize(fd: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one `winsize`, borrowed until the call returns.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(result)?;
    Ok(())
}

/// Makes the terminal behind `fd` the one that controls this process, which
/// leads a session without one.
///
/// # Errors
/// What the host said.
pub fn control(fd: impl AsFd) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number, and touches no memory of ours.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    Errno::result(result)?;
    Ok(())
}
