use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The most that is read, in bytes: what a pipe holds.
const LIMIT: u64 = 64 << 10;
/// The most that is told, in characters.
const TOLD: usize = 500;

/// What passt says on its stderr.
pub(super) struct Words(File);

impl Words {
    /// A pipe: the reading end, and the one for passt. A full one loses what
    /// is said, rather than making passt wait.
    pub(super) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        for end in [&reader, &writer] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok((Self(reader.into()), writer))
    }

    /// What has been said since the last call, as one line.
    pub(super) fn take(&self) -> String {
        let mut said = Vec::new();
        // The error says that there is no more; what came before it is kept.
        let _ = (&self.0).take(LIMIT).read_to_end(&mut said);
        one_line(&String::from_utf8_lossy(&said))
    }
}

/// What matters of passt's words: neither that there is no system log, as in
/// a container, nor that it gives up being root.
fn one_line(said: &str) -> String {
    let matters = |line: &&str| {
        !line.is_empty() && !line.ends_with("to syslog") && !line.starts_with("Don't run as root")
    };
    let line = said.lines().map(str::trim).filter(matters).collect::<Vec<_>>().join("; ");
    line.chars().take(TOLD).collect()
}
