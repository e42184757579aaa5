//! Whole-file locks that end with their open file: a killed process leaves none.

use std::fs::{self, File};
use std::io;
use std::iter;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// An open file that is locked as a whole.
///
/// To close it is not enough to give up the lock: a process that another
/// thread is just starting has a copy of it, until it runs its program.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Locked {
    /// Locks all of `file` for this open file alone (`write`), or together
    /// with other readers; `None` if somebody else has the lock.
    ///
    /// # Errors
    /// What the host said, if it was not that.
    pub(super) fn new(file: File, write: bool) -> io::Result<Option<Self>> {
        match set(&file, if write { libc::F_WRLCK } else { libc::F_RDLCK }) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // What is locked can be unlocked.
        let _ = set(&self.0, libc::F_UNLCK);
    }
}

fn set(file: &File, kind: libc::c_int) -> nix::Result<()> {
    let lock = libc::flock {
        l_type: libc::c_short::try_from(kind).expect("a lock type fits"),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).expect("0 fits"),
        l_start: 0,
        // To the end of the file, wherever it will be.
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}

/// The process that holds a lock on the file at `path`, as far as this
/// process may see. The kernel gives no pid for locks of open files, so this
/// looks for the descriptor that has it: first for one of this process, of
/// which one that is just being started has a copy.
pub(super) fn holder(path: &Path) -> Option<u32> {
    let wanted = fs::metadata(path).ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    iter::once(std::process::id()).chain(pids).find(|&pid| has_lock(pid, &wanted))
}

/// Whether a descriptor of process `pid` has a lock on the file that is
/// `wanted`.
fn has_lock(pid: u32, wanted: &fs::Metadata) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let is_wanted = |path: &Path| {
        fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino()))
    };
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    descriptors.filter(|fd| is_wanted(&fd.path())).any(|fd| {
        let info = process.join("fdinfo").join(fd.file_name());
        fs::read_to_string(info).is_ok_and(|text| text.contains("OFDLCK"))
    })
}
