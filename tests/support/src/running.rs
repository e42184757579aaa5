use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::capture::Capture;
use crate::terminal::Terminal;

/// How long a guest that is given up may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A guest under way. Dropping it kills the process, and so does the end of its
/// patience.
pub struct Running {
    pid: Pid,
    description: String,
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
    terminal: Option<Terminal>,
    ended: Receiver<ExitStatus>,
    deadline: Instant,
    /// How far [`wait_for`](Self::wait_for) has read.
    seen: usize,
    reaped: bool,
    _files: Option<TempDir>,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status; 1000 + n if signal n killed the process itself.
    pub status: i32,
    /// What it printed on stdout, or on the terminal.
    pub stdout: Vec<u8>,
    /// What it printed on stderr, unless that was the terminal.
    pub stderr: String,
}

impl Outcome {
    /// Stdout as text, line ends as the guest printed them.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Checks the status and that stderr's last line is `line`.
    #[track_caller]
    pub fn expect(&self, status: i32, line: &str) -> &Self {
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(
            self.status == status && last == line,
            "expected status {status} and {line:?}\n{self}"
        );
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = self.stdout.len().saturating_sub(16 << 10);
        let stdout = String::from_utf8_lossy(&self.stdout[start..]);
        write!(f, "status {}\n--- stdout ({} bytes)\n{stdout}\n", self.status, self.stdout.len())?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}

impl Running {
    pub(crate) fn new(
        mut child: Child,
        description: String,
        patience: Duration,
        files: Option<TempDir>,
        terminal: Option<Terminal>,
    ) -> Self {
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid is an i32"));
        let stdin = child.stdin.take();
        let stdout = match &terminal {
            Some(terminal) => Capture::start(terminal.reader(), Some(Terminal::END)),
            None => child.stdout.take().map_or_else(Capture::nothing, |s| Capture::start(s, None)),
        };
        let stderr = child.stderr.take().map_or_else(Capture::nothing, |s| Capture::start(s, None));
        let watched = terminal.as_ref().map(Terminal::same);
        let (send, ended) = channel();
        let (gone, is_gone) = channel::<()>();
        thread::spawn(move || {
            let _gone = gone;
            // Fails only if somebody else has reaped the child; then the
            // channel closes, and that is noticed.
            if let Ok(status) = child.wait() {
                if let Some(terminal) = watched {
                    // Or who waits for output would wait until the deadline.
                    terminal.mark_end();
                }
                let _ = send.send(status);
            }
        });
        // A test may wait for something else than for this guest, which only it
        // can bring about.
        thread::spawn(move || {
            if is_gone.recv_timeout(patience + LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let deadline = Instant::now() + patience;
        Self {
            pid,
            description,
            stdin,
            stdout,
            stderr,
            terminal,
            ended,
            deadline,
            seen: 0,
            reaped: false,
            _files: files,
        }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits until the guest has printed `text`, after what was waited for
    /// before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        match self.stdout.wait_for(text.as_bytes(), self.seen, self.deadline) {
            Some(end) => self.seen = end,
            None => self.give_up(&format!("it did not print {text:?}")),
        }
        self
    }

    /// Waits as [`wait_for`](Self::wait_for); returns what follows on that line.
    #[track_caller]
    pub fn wait_for_line(&mut self, start: &str) -> String {
        let from = self.wait_for(start).seen;
        let to = self.wait_for("\n").seen;
        String::from_utf8_lossy(&self.stdout.so_far()[from..to]).trim().to_owned()
    }

    /// Waits until Kiln itself has printed `text` on stderr.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, text: &str) -> &mut Self {
        if self.stderr.wait_for(text.as_bytes(), 0, self.deadline).is_none() {
            self.give_up(&format!("it did not say {text:?}"));
        }
        self
    }

    /// Whether Kiln itself has printed `text` on stderr so far.
    pub fn has_said(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.stderr.so_far()).contains(text)
    }

    /// Types `bytes` on the terminal, or writes them to the pipe.
    #[track_caller]
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let result = match (&mut self.stdin, &self.terminal) {
            (Some(pipe), _) => pipe.write_all(bytes),
            (None, Some(terminal)) => terminal.write(bytes),
            (None, None) => panic!("nothing is connected to stdin"),
        };
        if let Err(error) = result {
            self.give_up(&format!("it cannot be written to: {error}"));
        }
        self
    }

    /// Closes the pipe to its stdin.
    pub fn close_stdin(&mut self) -> &mut Self {
        self.stdin = None;
        self
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) -> &mut Self {
        kill(self.pid, signal).expect("the process is there until it is waited for");
        self
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let status = match self.ended.recv_timeout(left) {
            Ok(status) => status,
            Err(RecvTimeoutError::Timeout) => self.give_up("it did not end"),
            Err(RecvTimeoutError::Disconnected) => self.give_up("it ended unseen"),
        };
        self.reaped = true;
        if !self.stdout.wait_for_end(self.deadline) || !self.stderr.wait_for_end(self.deadline) {
            self.give_up("it ended, but something else keeps its output open");
        }
        self.outcome(status.code().unwrap_or_else(|| 1000 + status.signal().unwrap_or(0)))
    }

    fn outcome(&self, status: i32) -> Outcome {
        let stderr = String::from_utf8_lossy(&self.stderr.so_far()).into_owned();
        Outcome { status, stdout: self.stdout.so_far(), stderr }
    }

    #[track_caller]
    fn give_up(&self, why: &str) -> ! {
        // An end may explain it.
        let status = match self.ended.recv_timeout(LAST_WORDS) {
            Ok(status) => format!("it ended with {status}"),
            Err(_) => "it still runs".to_owned(),
        };
        let outcome = self.outcome(-1);
        panic!("{why}; {status}\n--- command\n{}\n{outcome}", self.description);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            // If it has ended by itself, there is nothing to kill.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}
