use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

/// What a connection is for: its first frame, from the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opening {
    /// Messages. The agent is there, and waits for its job.
    Control {
        /// The [`VERSION`](super::VERSION) of what it says.
        version: u32,
    },
    /// The bytes of a stream.
    Stream(Stream),
}

/// A stream of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Its standard input, to the guest.
    Input,
    /// Its standard output.
    Output,
    /// Its standard error.
    Errors,
    /// What its terminal shows, from the guest.
    Terminal,
}

/// What the host says on the control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuest {
    /// The first message: what to run, and how.
    Start(Box<Job>),
    /// Send this signal to the command and what it has started.
    Signal(u8),
    /// The terminal has another size.
    Resize(TerminalSize),
}

/// What the guest says on the control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost {
    /// The command runs.
    Started,
    /// The signal has been sent.
    Signalled,
    /// The command cannot be run: why, as a clause.
    Failed(String),
    /// The command has ended, and so have its streams; what it wrote to shared
    /// folders is there.
    Ended(CommandEnd),
}

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandEnd {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

/// A command, and everything that it finds when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The program, found as a shell finds it, and its arguments.
    pub argv: Vec<OsBytes>,
    /// Its whole environment.
    pub env: Vec<(OsBytes, OsBytes)>,
    /// The folder that it starts in.
    pub cwd: OsBytes,
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
    /// The name of the guest.
    pub hostname: OsBytes,
    /// The tag of the file system that becomes the root, below an overlay; the
    /// command stays in the initramfs without it.
    pub root: Option<String>,
    /// What else is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// Its terminal, if it has one.
    pub tty: Option<Tty>,
    /// Its standard output and error are one, off the terminal: what it writes
    /// to them stays in order.
    pub joined: bool,
}

/// Bytes that the host's system calls take: text as a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsBytes(Vec<u8>);

impl OsBytes {
    /// As system calls take it.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl<T: Into<OsString>> From<T> for OsBytes {
    fn from(text: T) -> Self {
        Self(text.into().as_bytes().to_vec())
    }
}

/// A file system of the host's that the guest mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Its tag.
    pub tag: String,
    /// Where, from the root on.
    pub path: OsBytes,
    /// What may be done there.
    pub kind: MountKind,
}

/// What may be done in a mounted file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// Nothing but reading.
    ReadOnly,
    /// Writing, which goes to the host.
    Writable,
}

/// A terminal: the command's input is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tty {
    /// How large it is.
    pub size: TerminalSize,
    /// Whether standard output is on it.
    pub output: bool,
    /// Whether standard error is on it.
    pub errors: bool,
}

/// The size of a terminal, in characters; 0 where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// From left to right.
    pub columns: u16,
    /// From top to bottom.
    pub rows: u16,
}

impl Job {
    /// The streams that the command needs connections for, in the order in
    /// which the guest makes them.
    pub fn streams(&self) -> Vec<Stream> {
        let (output, errors) = self.tty.map_or((true, true), |tty| (!tty.output, !tty.errors));
        let mut streams = vec![Stream::Input];
        streams.extend(self.tty.map(|_| Stream::Terminal));
        streams.extend(output.then_some(Stream::Output));
        streams.extend((errors && !self.joined).then_some(Stream::Errors));
        streams
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "standard input",
            Self::Output => "standard output",
            Self::Errors => "standard error",
            Self::Terminal => "the terminal",
        })
    }
}
