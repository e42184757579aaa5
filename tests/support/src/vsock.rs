use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::guest::LINUX_PATIENCE;
use crate::watch::bounded;

/// The Unix sockets of a guest's socket device, in a folder of their own.
pub struct Vsock {
    folder: TempDir,
}

impl Vsock {
    /// A place where no device is yet.
    ///
    /// # Panics
    /// If the host has no temporary folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The device's own socket.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("vm.sock")
    }

    /// Serves `port` of the host.
    ///
    /// # Panics
    /// If it is served already.
    pub fn listen(&self, port: u32) -> UnixListener {
        let path = self.folder.path().join(format!("vm.sock_{port}"));
        bounded(UnixListener::bind(path).expect("nobody serves the port"))
    }

    /// Connects to `port` of the guest; `None` if nobody listens there.
    ///
    /// # Panics
    /// If the device is not there, or says something unexpected.
    pub fn connect(&self, port: u32) -> Option<UnixStream> {
        let mut stream = UnixStream::connect(self.path()).expect("the device is there");
        stream.set_read_timeout(Some(LINUX_PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(LINUX_PATIENCE)).expect("not zero");
        stream.write_all(format!("CONNECT {port}\n").as_bytes()).expect("the device listens");
        let mut answer = String::new();
        let mut byte = [0];
        while !answer.ends_with('\n') {
            match stream.read(&mut byte) {
                Ok(1) => answer.push(char::from(byte[0])),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("no answer from the device: {error}"),
            }
        }
        if answer.is_empty() {
            return None;
        }
        let host_port = answer.strip_prefix("OK ").and_then(|rest| rest.strip_suffix('\n'));
        let is_number = host_port.is_some_and(|port| port.parse::<u32>().is_ok());
        assert!(is_number, "the device answers {answer:?}");
        Some(stream)
    }

    /// The folder with all sockets.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Vsock {
    fn default() -> Self {
        Self::new()
    }
}
