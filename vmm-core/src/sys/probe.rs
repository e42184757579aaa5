//! Whether the host lets this process use a system call.

#![expect(unsafe_code, reason = "makes system calls that no safe crate of ours wraps")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Makes a smallest io_uring and drops it.
///
/// # Errors
/// `ENOSYS` without io_uring, `EPERM` where a sysctl or a filter forbids it.
pub fn io_uring() -> io::Result<()> {
    // struct io_uring_params: 120 bytes, all zero for defaults.
    let mut params = [0_u64; 15];
    let entries: libc::c_uint = 1;
    // SAFETY: the kernel reads and writes exactly the 120 bytes of `params`,
    // which live until the call returns.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.as_mut_ptr()) };
    close(fd)
}

/// Makes a userfaultfd that may also serve faults of the kernel, as those of
/// KVM are, and drops it.
///
/// # Errors
/// `ENOSYS` without userfaultfd, `EPERM` if this user may not.
pub fn userfaultfd() -> io::Result<()> {
    // SAFETY: the call takes flags only and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
    close(fd)
}

fn close(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the system call has just made this descriptor, and nobody else
    // knows its number.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}
