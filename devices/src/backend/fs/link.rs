//! Hard links, which take a privilege when made from a descriptor, or a way
//! round by a path.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use fuse_backend_rs::api::filesystem::{Context, FileSystem};
use fuse_backend_rs::passthrough::PassthroughFs;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::linkat;

/// Makes `name` in `parent` another name of `inode`, as an ordinary user.
///
/// # Errors
/// What the host said; ESTALE if the host moved either meanwhile.
pub(super) fn link(files: &PassthroughFs, inode: u64, parent: u64, name: &CStr) -> io::Result<()> {
    let file = open(files, inode, libc::O_PATH)?;
    let directory = open(files, parent, libc::O_PATH | libc::O_DIRECTORY)?;
    let file = format!("/proc/self/fd/{}", file.as_raw_fd());
    let cwd = nix::fcntl::AT_FDCWD;
    linkat(cwd, Path::new(&file), &directory, name, AtFlags::AT_SYMLINK_FOLLOW)?;
    Ok(())
}

/// A descriptor of `inode` (`O_…` in `flags`), by the path that it has now. What is found there is
/// compared with what the guest knows: a path can change at any time.
pub(super) fn open(files: &PassthroughFs, inode: u64, flags: i32) -> io::Result<File> {
    let path = files.readlinkat_proc_file(inode)?;
    let flags = libc::O_NOFOLLOW | flags;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    let (known, _) = files.getattr(&Context::default(), inode, None)?;
    if (found.dev(), found.ino()) != (known.st_dev, known.st_ino) {
        return Err(Errno::ESTALE.into());
    }
    Ok(file)
}
