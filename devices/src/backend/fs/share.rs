use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fuse_backend_rs::passthrough::{CachePolicy, Config, PassthroughFs};
use nix::sys::stat::{Mode, umask};

use super::Session;

/// Why a directory cannot be shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// It cannot be opened.
    #[error("the directory {path} cannot be shared")]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

/// What a guest may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files and directories that it knows; some hundred bytes each.
    pub inodes: usize,
    /// Descriptors for these, of which the ones that were used last have one.
    /// There are to be more than `handles`, for open files have one, too.
    pub descriptors: usize,
    /// Files and directories that are open: a descriptor each.
    pub handles: usize,
}

/// What a share is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareOptions {
    /// Whether a guest can only read.
    pub read_only: bool,
    /// What a guest may hold.
    pub limits: Limits,
}

/// How long a guest believes what it has seen: names, attributes, and by the
/// time of the last change, contents.
const BELIEVE: Duration = Duration::from_secs(1);

/// The same where the guest changes nothing and hosts seldom do.
const BELIEVE_READ_ONLY: Duration = Duration::from_secs(10);

/// A directory of the host's, held whatever becomes of its name.
#[derive(Debug)]
pub struct Share {
    directory: File,
    options: ShareOptions,
}

impl Share {
    /// Takes hold of the directory at `path`.
    ///
    /// # Errors
    /// [`ShareError`] if there is none that this process may enter.
    pub fn open(path: &Path, options: ShareOptions) -> Result<Self, ShareError> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let directory = File::options().read(true).custom_flags(flags).open(path);
        let directory =
            directory.map_err(|source| ShareError::Open { path: path.to_owned(), source })?;
        Ok(Self { directory, options })
    }

    /// Whether a guest can only read.
    pub fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    /// The share as a guest sees it that has just mounted it.
    ///
    /// # Errors
    /// What the host said.
    pub fn session(&self) -> io::Result<Session> {
        let read_only = self.options.read_only;
        let time = if read_only { BELIEVE_READ_ONLY } else { BELIEVE };
        let files = PassthroughFs::new(Config {
            // What is open is found by its number, and a dot behind it so that
            // a link is followed there and nowhere else.
            root_dir: format!("/proc/self/fd/{}/.", self.directory.as_raw_fd()),
            entry_timeout: time,
            attr_timeout: time,
            // Contents are kept until their time of change is another.
            cache_policy: CachePolicy::Always,
            // Reading needs no handle then; writing does, for what a file lets
            // its owner do may change while it is open.
            no_open: read_only,
            no_opendir: read_only,
            killpriv_v2: !read_only,
            allow_direct_io: false,
            xattr: true,
            // Without it, the table of inodes never shrinks.
            use_host_ino: true,
            ..Config::default()
        })?;
        // It clears the file creation mask.
        let mask = umask(Mode::empty());
        let imported = files.import();
        umask(mask);
        imported?;
        Ok(Session::new(files, self.options, time))
    }
}
