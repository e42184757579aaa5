use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use vm_memory::VolatileSlice;
use vmm_core::sys;

use super::{DiskBackend, lock};
use crate::virtio::spec::blk::SECTOR_SIZE;

/// Why a disk image cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// Nothing has that name.
    #[error("disk image {path} does not exist")]
    Missing {
        /// The image.
        path: PathBuf,
    },
    /// It is neither a regular file nor a block device.
    #[error("disk image {path} is a {kind}; give a raw image file or a block device")]
    Kind {
        /// The image.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Reading is not permitted.
    #[error("disk image {path} cannot be read: permission denied; check its owner and mode")]
    Unreadable {
        /// The image.
        path: PathBuf,
    },
    /// Reading is permitted, writing is not.
    #[error("disk image {path} cannot be written; make it writable or add `,readonly`")]
    Unwritable {
        /// The image.
        path: PathBuf,
    },
    /// The size is no whole number of sectors.
    #[error(
        "disk image {path} is {size} bytes, not a multiple of {SECTOR_SIZE}; \
         `truncate -s %{SECTOR_SIZE} {path}` rounds it up"
    )]
    Ragged {
        /// The image.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// There is not one sector.
    #[error("disk image {path} is empty")]
    Empty {
        /// The image.
        path: PathBuf,
    },
    /// Another process uses it in a way that excludes this one.
    #[error("disk image {path} is in use by {holder}; share it only if all use `,readonly`")]
    InUse {
        /// The image.
        path: PathBuf,
        /// Who holds it, in words.
        holder: String,
    },
    /// Anything else that the host said.
    #[error("cannot {what} disk image {path}")]
    Host {
        /// The image.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

/// A raw image file or a block device, locked for as long as it is open.
#[derive(Debug)]
pub struct RawDisk {
    file: File,
    path: PathBuf,
    size: u64,
    read_only: bool,
}

impl RawDisk {
    /// Opens and locks `path`: alone, or together with other readers if
    /// `read_only`.
    ///
    /// # Errors
    /// [`DiskError`], a sentence that names the path and the remedy.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, DiskError> {
        check_kind(path)?;
        let mut file = open(path, read_only)?;
        let host = |what| move |source| DiskError::Host { path: path.to_owned(), what, source };
        // Seeking works for files and block devices; metadata has no size for the latter.
        let size = file.seek(SeekFrom::End(0)).map_err(host("find the size of"))?;
        if size == 0 {
            return Err(DiskError::Empty { path: path.to_owned() });
        }
        if !size.is_multiple_of(SECTOR_SIZE) {
            return Err(DiskError::Ragged { path: path.to_owned(), size });
        }
        if !lock::try_lock(&file, !read_only).map_err(host("lock"))? {
            return Err(in_use(path));
        }
        Ok(Self { file, path: path.to_owned(), size, read_only })
    }
}

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

fn open(path: &Path, read_only: bool) -> Result<File, DiskError> {
    // For a block device, O_EXCL without O_CREAT refuses one that the host
    // has mounted; for a file it means nothing.
    let flags = if read_only { 0 } else { libc::O_EXCL };
    let options = |write| OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    options(!read_only).map_err(|error| {
        let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
        if error.kind() == io::ErrorKind::ResourceBusy {
            return in_use(path);
        }
        if !read_only && denied.contains(&error.kind()) && options(false).is_ok() {
            return DiskError::Unwritable { path: path.to_owned() };
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

impl DiskBackend for RawDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn read_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        sys::read_at(&self.file, pieces, offset)
    }

    fn write_at(&mut self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        sys::write_at(&self.file, pieces, offset)
    }

    /// One `fdatasync`.
    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
