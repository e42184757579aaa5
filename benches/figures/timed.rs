use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::Result;

/// How a program went that was run to its end.
#[derive(Debug)]
pub(crate) struct Timed {
    /// From exec to its end.
    pub(crate) time: Duration,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it wrote to its standard output and its standard error.
    pub(crate) output: String,
}

impl Timed {
    /// Runs `command` to its end, which comes after `patience` at the latest.
    /// What it writes goes to the file `output` meanwhile.
    ///
    /// # Errors
    /// If it cannot be started or waited for.
    pub(crate) fn run(mut command: Command, patience: Duration, output: &Path) -> Result<Self> {
        let file = File::create(output)?;
        command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
        let (done, watched) = mpsc::channel::<()>();
        let start = Instant::now();
        let mut child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let watchdog = thread::spawn(move || {
            if watched.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Its number is its own until it is reaped, after this thread.
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let ended = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let time = start.elapsed();
        drop(done);
        watchdog.join().map_err(|_| "the watchdog panicked")?;
        ended?;
        let status = child.wait()?;
        let output = String::from_utf8_lossy(&fs::read(output)?).into_owned();
        Ok(Self { time, status, output })
    }

    /// The last lines of what it wrote.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<_> = self.output.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
