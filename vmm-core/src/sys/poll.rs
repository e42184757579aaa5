use std::io;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until a write to `fd` would not block. For a descriptor that whoever
/// opened it made non-blocking.
///
/// # Errors
/// What `poll` said; `Interrupted` if a signal came.
pub fn wait_writable(fd: impl AsFd) -> io::Result<()> {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
    Ok(())
}
