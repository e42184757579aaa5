use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::Duration;

use event_manager::{Error, EventOps, EventSet, Events, MutEventSubscriber};
use vmm_core::event::{MachineRequest, RequestSender};
use vmm_core::sys::terminal::{in_background, reapply};
use vmm_sys_util::timerfd::TimerFd;

use super::InputPort;
use super::escape::Escape;

/// The most that one read takes.
const CHUNK: usize = 256;
/// How much is kept of what is typed while the guest takes nothing; what a
/// terminal's own line buffer holds.
const TYPE_AHEAD: usize = 4096;
/// How often to look whether job control has given the terminal back. `fg`
/// sends no signal to a process that runs already.
const FOREGROUND_CHECK: Duration = Duration::from_millis(500);

/// Takes console input from a descriptor of the host to the guest, on the
/// event loop.
///
/// From a pipe or file nothing is read that the guest does not take at once:
/// input waits where it is until the guest's driver listens. From a terminal
/// everything is read, for the escape keys, and 4 KiB are kept.
///
/// End of input, a hang-up and any other error end it quietly. While the
/// process is in the background the terminal is left alone; in the foreground
/// again, the input takes it back, in raw mode if it had that. When job control
/// continues the process, write the port's [`ready`](InputPort::ready), so that
/// the input notices which of the two it is.
pub struct ConsoleInput {
    /// None once the input has ended.
    source: Option<File>,
    /// The source is in the loop's interest list.
    watched: bool,
    /// Escape keys are looked for: the source is a terminal.
    escape: Option<Escape>,
    /// Read and not yet taken by the guest.
    held: Vec<u8>,
    /// Runs while the process is in the background.
    foreground_check: TimerFd,
    port: Arc<dyn InputPort>,
    requests: RequestSender,
}

impl ConsoleInput {
    /// Input from standard input; none if it is closed.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn stdin(port: Arc<dyn InputPort>, requests: RequestSender) -> io::Result<Self> {
        let source = match io::stdin().as_fd().try_clone_to_owned() {
            Ok(fd) => Some(fd),
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => None,
            Err(e) => return Err(e),
        };
        Self::new(source, port, requests)
    }

    /// Input from `source`. What is shared with others through it, such as
    /// whether reads block, is left as it is.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(
        source: Option<OwnedFd>,
        port: Arc<dyn InputPort>,
        requests: RequestSender,
    ) -> io::Result<Self> {
        let source = source.map(File::from).map(|s| reopened(&s).unwrap_or(s));
        let escape = source.as_ref().filter(|s| s.is_terminal()).map(|_| Escape::default());
        let foreground_check = TimerFd::new()?;
        let held = Vec::new();
        Ok(Self { source, watched: false, escape, held, foreground_check, port, requests })
    }

    fn source_fd(&self) -> Option<RawFd> {
        self.source.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Gives the guest what is held; returns how much it would take beyond.
    fn deliver(&mut self) -> usize {
        let taken = self.port.receive(&self.held);
        self.held.drain(..taken);
        if self.held.is_empty() { self.port.room() } else { 0 }
    }

    /// How many bytes to read now.
    fn wanted(&mut self) -> usize {
        let room = self.deliver();
        if self.escape.is_some() { CHUNK } else { room.min(CHUNK) }
    }

    /// Whether the terminal is another process group's; then looks again soon.
    fn is_suspended(&mut self) -> bool {
        let terminal = self.source.as_ref().filter(|_| self.escape.is_some());
        let suspended = terminal.is_some_and(in_background);
        if suspended && let Err(e) = self.foreground_check.reset(FOREGROUND_CHECK, None) {
            log::warn!("console input will not notice the return to the foreground: {e}");
        }
        suspended
    }

    /// Reads at most `count` bytes once.
    fn read(&mut self, count: usize) -> Got {
        let Some(source) = self.source.as_mut() else {
            return Got::End;
        };
        let mut buffer = [0; CHUNK];
        match source.read(&mut buffer[..count]) {
            Ok(0) => Got::End,
            Ok(count) => {
                self.keep(&buffer[..count]);
                Got::Some
            }
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
                Got::Nothing
            }
            // A terminal refuses a process in the background.
            Err(_) if in_background(&*source) => Got::Nothing,
            Err(_) => Got::End,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(escape) = self.escape.as_mut() else {
            self.held.extend_from_slice(bytes);
            return;
        };
        if escape.filter(bytes, &mut self.held) {
            self.requests.send(MachineRequest::Quit);
        }
        // Typing that the guest does not take goes no further than this.
        self.held.truncate(TYPE_AHEAD);
    }

    /// Watches the source exactly while it is worth reading.
    fn update(&mut self, ops: &mut EventOps) {
        let wanted = self.wanted() > 0 && !self.is_suspended();
        let Some(fd) = self.source_fd() else {
            return;
        };
        if wanted == self.watched {
            return;
        }
        let events = Events::new_raw(fd, EventSet::IN);
        if !wanted {
            // Not only without interest: a pipe's hang-up would be reported
            // again and again.
            ops.remove(events).expect("the source is in the list");
            self.watched = false;
            return;
        }
        match ops.add(events) {
            Ok(()) => self.watched = true,
            // Regular files and /dev/null cannot be watched and never block.
            Err(Error::Epoll(e)) if e.errno() == libc::EPERM => self.read_file(),
            Err(e) => {
                log::warn!("console input is not available: {e}");
                self.source = None;
            }
        }
    }

    fn read_file(&mut self) {
        loop {
            let wanted = self.wanted();
            if wanted == 0 {
                return;
            }
            match self.read(wanted) {
                Got::Some => {}
                Got::Nothing | Got::End => {
                    self.source = None;
                    return;
                }
            }
        }
    }

    fn end(&mut self, ops: &mut EventOps) {
        if let Some(source) = self.source.take().filter(|_| self.watched) {
            ops.remove(Events::empty(&source)).expect("the source is in the list");
        }
        self.watched = false;
    }
}

/// A terminal or pipe opened anew, so that reads do not block: another process
/// that shares it may take the input that we were woken for. Not every one can
/// be opened, and then that risk stays.
fn reopened(source: &File) -> Option<File> {
    let kind = source.metadata().ok()?.file_type();
    if !kind.is_char_device() && !kind.is_fifo() {
        return None;
    }
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", source.as_raw_fd()))
        .ok()
}

/// What a read brought.
enum Got {
    Some,
    Nothing,
    End,
}

impl MutEventSubscriber for ConsoleInput {
    fn init(&mut self, ops: &mut EventOps) {
        for fd in [self.port.ready().as_raw_fd(), self.foreground_check.as_raw_fd()] {
            ops.add(Events::new_raw(fd, EventSet::IN)).expect("the descriptor is open and ours");
        }
        self.update(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        if events.fd() == self.port.ready().as_raw_fd() {
            // Fails only if another wake-up has been answered already.
            let _ = self.port.ready().read();
        } else if events.fd() == self.foreground_check.as_raw_fd() {
            // Only read to make it quiet.
            let _ = self.foreground_check.wait();
            reapply();
        } else {
            let wanted = self.wanted();
            if wanted > 0 && matches!(self.read(wanted), Got::End) {
                return self.end(ops);
            }
        }
        self.update(ops);
    }
}
