use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::socket::{Shutdown, shutdown};
use vmm_core::sys::terminal;

use super::connection;
use super::error::{AgentError, kernel};
use crate::agent::protocol::{Job, Opening, Stream, TerminalSize, Tty};

/// How much moves at once, and how much a pipe holds. Beyond what fits into a
/// processor's cache, more costs more.
const CHUNK: usize = 256 << 10;

/// The group `tty`, which may write to terminals, on every system.
const TTY_GROUP: u32 = 5;

/// The command's streams, each with a thread that moves its bytes.
pub(super) struct Streams {
    /// For the command.
    pub(super) ends: [Stdio; 3],
    /// Its terminal, if it has one.
    pub(super) terminal: Option<Terminal>,
    /// Ends when all that the command has written is on its way.
    pub(super) written: Receiver<()>,
}

/// The other side of a command's terminal.
#[derive(Clone)]
pub(super) struct Terminal(Arc<File>);

/// Connections to the host, in the order of [`Job::streams`].
pub(super) fn connect(job: &Job) -> Result<Vec<(Stream, File)>, AgentError> {
    let streams = job.streams().into_iter();
    streams.map(|stream| Ok((stream, connection::open(&Opening::Stream(stream))?))).collect()
}

/// Pipes, or a terminal, between the command and those connections.
pub(super) fn open(job: &Job, connections: Vec<(Stream, File)>) -> Result<Streams, AgentError> {
    let (done, written) = channel();
    let (terminal, slave) = match job.tty {
        Some(tty) => {
            let (terminal, slave) =
                open_terminal(tty, job.uid).map_err(kernel("make a terminal"))?;
            (Some(terminal), Some(slave))
        }
        None => (None, None),
    };
    let mut ends = [None, None, None];
    for (stream, connection) in connections {
        let failed = kernel("make a pipe");
        match (stream, &terminal) {
            (Stream::Input, None) => {
                let (ours, theirs) = pipe_to(job.uid, job.gid).map_err(failed)?;
                ends[0] = Some(theirs);
                feed(connection, ours)?;
            }
            (Stream::Input, Some(terminal)) => feed(connection, Arc::clone(&terminal.0))?,
            (Stream::Terminal, Some(terminal)) => {
                drain(Arc::clone(&terminal.0), connection, done.clone())?;
            }
            (Stream::Output | Stream::Errors | Stream::Terminal, _) => {
                let (ours, theirs) = pipe_from(job.uid, job.gid).map_err(failed)?;
                ends[if stream == Stream::Output { 1 } else { 2 }] = Some(theirs);
                drain(ours, connection, done.clone())?;
            }
        }
    }
    if job.joined
        && let Some(output) = &ends[1]
    {
        ends[2] = Some(output.try_clone().map_err(kernel("share a pipe"))?);
    }
    let mut filled = Vec::with_capacity(ends.len());
    for end in ends {
        filled.push(match (end, &slave) {
            (Some(end), _) => end,
            (None, Some(slave)) => slave.try_clone().map_err(kernel("share a terminal"))?,
            (None, None) => return Err(AgentError::NoJob),
        });
    }
    let ends = <[OwnedFd; 3]>::try_from(filled).expect("there are three").map(Stdio::from);
    Ok(Streams { ends, terminal, written })
}

/// Takes what the host sends to the command, until either is done with it.
fn feed(mut from: File, mut to: impl Write + Send + 'static) -> Result<(), AgentError> {
    spawn("input", move || {
        move_all(&mut from, &mut to);
        // The host need not read any more for this.
        hang_up(&from, Shutdown::Read);
    })
}

/// Takes what the command writes to the host. When that has all of it, the
/// `done` goes.
fn drain(
    mut from: impl Read + Send + 'static,
    mut to: File,
    done: Sender<()>,
) -> Result<(), AgentError> {
    spawn("output", move || {
        move_all(&mut from, &mut to);
        hang_up(&to, Shutdown::Write);
        // Not before: the connection has to end first.
        drop(done);
    })
}

/// Has a thread of its own do `body`.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), AgentError> {
    let builder = thread::Builder::new().name(name.into()).stack_size(64 << 10);
    builder.spawn(body).map(drop).map_err(kernel("make a thread"))
}

/// Moves bytes until one side ends; which one, nobody asks.
fn move_all(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => {
                if to.write_all(&buffer[..len]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A terminal that nobody has open any more gives EIO.
            Err(_) => return,
        }
    }
}

fn hang_up(connection: &File, side: Shutdown) {
    // Fails only if the other end has gone, which is as well.
    let _ = shutdown(connection.as_raw_fd(), side);
}

/// A pipe that the command reads from. It may open it anew (`/dev/stdin`), as
/// whoever it runs as.
fn pipe_to(uid: u32, gid: u32) -> io::Result<(File, OwnedFd)> {
    let (theirs, ours) = io::pipe()?;
    prepare(&ours, uid, gid)?;
    Ok((File::from(OwnedFd::from(ours)), theirs.into()))
}

/// A pipe that the command writes to, in the same way.
fn pipe_from(uid: u32, gid: u32) -> io::Result<(File, OwnedFd)> {
    let (ours, theirs) = io::pipe()?;
    prepare(&theirs, uid, gid)?;
    Ok((File::from(OwnedFd::from(ours)), theirs.into()))
}

fn prepare(pipe: &(impl AsRawFd + std::os::fd::AsFd), uid: u32, gid: u32) -> io::Result<()> {
    fchown(pipe, Some(uid), Some(gid))?;
    // A smaller one works, too.
    let size = i32::try_from(CHUNK).expect("a chunk is small");
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(size));
    Ok(())
}

fn open_terminal(tty: Tty, uid: u32) -> io::Result<(Terminal, OwnedFd)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ptsname_r(&master)?;
    let flags = OFlag::O_NOCTTY.bits();
    let slave = File::options().read(true).write(true).custom_flags(flags).open(slave)?;
    fchown(&slave, Some(uid), Some(TTY_GROUP))?;
    let terminal = Terminal(Arc::new(File::from(OwnedFd::from(master))));
    terminal.resize(tty.size)?;
    Ok((terminal, slave.into()))
}

impl Terminal {
    /// Makes it as large as the host's.
    pub(super) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        terminal::resize(&*self.0, size.columns, size.rows)
    }
}
