//! Children of this process.
#![expect(
    unsafe_code,
    reason = "nix does not know of real-time signals, by which children may end"
)]

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;

/// Waits until a child of this process has ended, whichever it is; says which
/// it was, and how.
///
/// # Errors
/// `ECHILD` if there is none; what the host said else.
pub fn wait_any() -> io::Result<(i32, ExitStatus)> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one number, exclusively borrowed until the
        // call returns.
        match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, 0) }) {
            Ok(pid) => return Ok((pid, ExitStatus::from_raw(status))),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
