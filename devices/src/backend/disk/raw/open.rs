use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

use crate::backend::disk::lock::{self, Locked};
use crate::backend::disk::{CacheMode, DiskError, OpenOptions};

/// Checked before opening: to open some kinds has effects of its own.
fn check_kind(path: &Path) -> Result<(), DiskError> {
    let kind = match fs::metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(error) => return Err(open_error(path, error)),
    };
    let kind = match kind {
        k if k.is_file() || k.is_block_device() => return Ok(()),
        k if k.is_dir() => "directory",
        k if k.is_fifo() => "pipe",
        k if k.is_socket() => "socket",
        _ => "character device",
    };
    Err(DiskError::Kind { path: path.to_owned(), kind })
}

/// The open image, and what holds its lock.
pub(in crate::backend::disk) struct Opened {
    pub(in crate::backend::disk) file: File,
    pub(in crate::backend::disk) lock: Locked,
}

/// Opens `path` twice. The lock is not on the file that does the I/O: a ring
/// of io_uring keeps its files open for a moment after its process is gone,
/// and a lock with them.
///
/// # Errors
/// [`DiskError`], also if somebody else has the lock.
pub(in crate::backend::disk) fn open(
    path: &Path,
    options: OpenOptions,
) -> Result<Opened, DiskError> {
    check_kind(path)?;
    // For a block device, O_EXCL without O_CREAT refuses one that the host
    // has mounted; for a file it means nothing.
    let flags = if options.read_only { 0 } else { libc::O_EXCL };
    let lock = open_file(path, options.read_only, flags)?;
    let host = |what| move |source| DiskError::Host { path: path.to_owned(), what, source };
    let lock = Locked::new(lock, !options.read_only).map_err(host("lock"))?;
    let lock = lock.ok_or_else(|| in_use(path))?;
    let flags = if options.cache == CacheMode::Direct { libc::O_DIRECT } else { 0 };
    let file = open_file(path, options.read_only, flags)?;
    let (ours, locked) =
        (file.metadata().map_err(host("look at"))?, lock.metadata().map_err(host("look at"))?);
    if (ours.dev(), ours.ino()) != (locked.dev(), locked.ino()) {
        // Another file took its name between the two.
        return Err(in_use(path));
    }
    Ok(Opened { file, lock })
}

fn open_file(path: &Path, read_only: bool, flags: libc::c_int) -> Result<File, DiskError> {
    let open =
        |write| fs::OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    open(!read_only).map_err(|error| {
        let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
        if error.kind() == io::ErrorKind::ResourceBusy {
            return in_use(path);
        }
        if !read_only && denied.contains(&error.kind()) && open(false).is_ok() {
            return DiskError::Unwritable { path: path.to_owned() };
        }
        if flags & libc::O_DIRECT != 0 && error.raw_os_error() == Some(libc::EINVAL) {
            return DiskError::NoDirect { path: path.to_owned() };
        }
        open_error(path, error)
    })
}

fn open_error(path: &Path, source: io::Error) -> DiskError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => DiskError::Missing { path },
        io::ErrorKind::PermissionDenied => DiskError::Unreadable { path },
        _ => DiskError::Host { path, what: "open", source },
    }
}

fn in_use(path: &Path) -> DiskError {
    let holder = match lock::holder(path) {
        Some(pid) if pid == std::process::id() => "this same run, which names it twice".into(),
        Some(pid) => format!("process {pid}"),
        None => "another process, or mounted by the host".into(),
    };
    DiskError::InUse { path: path.to_owned(), holder }
}
