//! Whole-file locks that end with the open file: a killed process leaves none.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Locks all of `file` for this open file alone (`write`), or together with
/// other readers. Returns whether the lock was free.
///
/// # Errors
/// What the host said, if it was not that somebody else has the lock.
pub(super) fn try_lock(file: &File, write: bool) -> io::Result<bool> {
    let kind = if write { libc::F_WRLCK } else { libc::F_RDLCK };
    let lock = libc::flock {
        l_type: libc::c_short::try_from(kind).expect("a lock type fits"),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).expect("0 fits"),
        l_start: 0,
        // To the end of the file, wherever it will be.
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The process that holds a lock on the file at `path`, as far as this
/// process may see. The kernel gives no pid for locks of open files, so this
/// looks for the descriptor that has it.
pub(super) fn holder(path: &Path) -> Option<u32> {
    let wanted = fs::metadata(path).ok()?;
    let is_same = |path: &Path| {
        fs::metadata(path).is_ok_and(|m| m.dev() == wanted.dev() && m.ino() == wanted.ino())
    };
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for fd in descriptors.filter(|fd| is_same(&fd.path())) {
            let info = process.path().join("fdinfo").join(fd.file_name());
            if fs::read_to_string(info).is_ok_and(|text| text.contains("OFDLCK")) {
                return Some(pid);
            }
        }
    }
    None
}
