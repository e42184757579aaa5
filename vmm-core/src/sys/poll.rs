#![expect(unsafe_code, reason = "an eventfd lends its descriptor only by number")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;
use vmm_sys_util::eventfd::EventFd;

/// Waits until a write to `fd` would not block. For a descriptor that whoever
/// opened it made non-blocking.
///
/// # Errors
/// What `poll` said; `Interrupted` if a signal came.
pub fn wait_writable(fd: impl AsFd) -> io::Result<()> {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
    Ok(())
}

/// Waits until a read of `fd` would not block, or `until` has come.
///
/// # Errors
/// What `poll` said; `Interrupted` if a signal came.
pub fn wait_readable(fd: impl AsFd, until: Instant) -> io::Result<()> {
    let left = TimeSpec::from_duration(until.saturating_duration_since(Instant::now()));
    ppoll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], Some(left), None)?;
    Ok(())
}

/// Waits until `wake` is written or `until` has come, and resets its count.
/// `wake` is non-blocking.
///
/// # Errors
/// What the host said; `Interrupted` if a signal came.
pub fn wait_woken(wake: &EventFd, until: Option<Instant>) -> io::Result<()> {
    let left = until.map(|at| at.saturating_duration_since(Instant::now()));
    let timeout = left.map(TimeSpec::from_duration);
    // SAFETY: `wake` owns the descriptor and is borrowed until the call returns.
    let fd = unsafe { BorrowedFd::borrow_raw(wake.as_raw_fd()) };
    if ppoll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout, None)? > 0 {
        match wake.read() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
