#![expect(unsafe_code, reason = "nix has no safe way to ask for a terminal's size")]

use std::os::fd::{AsFd, AsRawFd};

/// How large the terminal behind `fd` is: its columns and rows, 0 where nobody
/// has said. `None` if `fd` is no terminal.
pub fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`, exclusively borrowed until the
    // call returns.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some((size.ws_col, size.ws_row))
}
