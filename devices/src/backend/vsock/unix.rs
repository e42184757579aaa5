use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};

use super::{VsockBackend, VsockError};

/// The longest path of a device's socket, in bytes: with `_` and a port of
/// ten digits it still fits into the 107 bytes of a Unix socket's address.
pub const PATH_MAX: usize = 107 - "_4294967295".len();

/// A device's Unix socket at its path, and those beside it that the guest
/// connects to.
#[derive(Debug)]
pub struct UnixVsock {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket's file, to know it again.
    file: (u64, u64),
}

impl UnixVsock {
    /// Listens at `path`, whose mode follows from the umask. A socket that
    /// nobody listens at any more, as a killed run leaves one, is replaced.
    ///
    /// # Errors
    /// [`VsockError`] if the path is in use, or cannot be used.
    pub fn bind(path: &Path) -> Result<Self, VsockError> {
        if path.as_os_str().len() > PATH_MAX {
            return Err(VsockError::TooLong { path: path.to_owned() });
        }
        let host = |source| VsockError::Host { path: path.to_owned(), source };
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                UnixListener::bind(path)
            }
            result => result,
        }
        .map_err(host)?;
        let file = identity(&fs::symlink_metadata(path).map_err(host)?);
        let bound = Self { listener, path: path.to_owned(), file };
        bound.listener.set_nonblocking(true).map_err(host)?;
        Ok(bound)
    }
}

impl Drop for UnixVsock {
    /// Removes the socket, unless somebody has put another in its place.
    fn drop(&mut self) {
        let is_ours = |found: &Metadata| identity(found) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(|found| is_ours(&found))
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("the socket {} cannot be removed: {error}", self.path.display());
        }
    }
}

impl VsockBackend for UnixVsock {
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.listener.as_fd())
    }

    fn accept(&mut self) -> io::Result<UnixStream> {
        let (client, _) = self.listener.accept()?;
        client.set_nonblocking(true)?;
        Ok(client)
    }

    fn connect(&mut self, port: u32) -> io::Result<UnixStream> {
        let mut path: OsString = self.path.clone().into();
        path.push(format!("_{port}"));
        open(Path::new(&path))
    }
}

/// A stream to the socket at `path`. Where it would have to wait for room, it
/// fails with `WouldBlock`.
fn open(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(stream.into())
}

/// Removes the socket at `path` if nobody listens there.
fn remove_stale(path: &Path) -> Result<(), VsockError> {
    let path_buf = || path.to_owned();
    let host = |source| VsockError::Host { path: path_buf(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(VsockError::NotSocket { path: path_buf() }),
        // It has gone by itself.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(host(source)),
    }
    let process = match open(path) {
        Ok(stream) => getsockopt(&stream, sockopt::PeerCredentials).ok().map(|peer| peer.pid()),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => return fs::remove_file(path).map_err(host),
            io::ErrorKind::NotFound => return Ok(()),
            // Somebody listens, and has many clients already.
            io::ErrorKind::WouldBlock => None,
            _ => return Err(host(error)),
        },
    };
    Err(VsockError::Busy { path: path_buf(), process })
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
