#![expect(unsafe_code, reason = "no crate in use wraps setpriority")]

use std::io;

/// As far back as a thread can stand (sched(7), "the nice value").
const LAST: libc::c_int = 19;

/// Has the calling thread give way to all others that want the processor, for good:
/// only root could take it back. Other threads stay as they are (setpriority(2), "Linux").
///
/// # Errors
/// What the system call said.
pub fn give_way() -> io::Result<()> {
    // SAFETY: the call takes three numbers and touches no memory of this process.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LAST) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
