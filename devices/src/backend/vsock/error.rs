use std::io;
use std::path::PathBuf;

use super::PATH_MAX;

/// Why a socket device cannot have its Unix socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VsockError {
    /// Somebody else listens there.
    #[error("the socket {path} is in use{}", holder(*.process))]
    Busy {
        /// The socket.
        path: PathBuf,
        /// Who listens, as far as the host tells.
        process: Option<i32>,
    },
    /// There is something that is no socket, and stays.
    #[error("{path} exists and is no socket")]
    NotSocket {
        /// What is there.
        path: PathBuf,
    },
    /// The address of a Unix socket has too few bytes for it.
    #[error("the path {path} is too long for a socket: it may have {PATH_MAX} bytes")]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// Anything else that the host said.
    #[error("the socket {path} cannot be made")]
    Host {
        /// The socket.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

fn holder(process: Option<i32>) -> String {
    process.map_or_else(String::new, |process| format!(" by process {process}"))
}
