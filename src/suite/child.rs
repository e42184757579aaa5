use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::matrix::Planned;

/// How much of a run's output is kept, in bytes.
const KEPT: usize = 64 << 10;

/// How a run went.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Its exit status; 128 + n if signal n ended Kiln itself.
    pub status: i32,
    /// How long it took.
    pub time: Duration,
    /// The end of what it printed, on stdout and stderr.
    pub output: Vec<u8>,
    /// Its report; `None` if it has left none.
    pub report: Option<serde_json::Value>,
}

/// The runs under way.
#[derive(Default)]
pub(super) struct Children(Mutex<State>);

#[derive(Default)]
struct State {
    is_stopped: bool,
    /// Those that nobody has waited for: their numbers are still their own.
    pids: Vec<Pid>,
}

impl Children {
    /// Ends those under way as SIGTERM does, and those that come.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        for pid in &state.pids {
            terminate(*pid);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    fn add(&self, pid: Pid) {
        let mut state = self.lock();
        state.pids.push(pid);
        if state.is_stopped {
            terminate(pid);
        }
    }

    fn remove(&self, pid: Pid) {
        self.lock().pids.retain(|other| *other != pid);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn terminate(pid: Pid) {
    // One that has ended, and waits to be waited for, does not mind.
    let _ = kill(pid, Signal::SIGTERM);
}

/// Runs `run` in a process of its own, one of `children`; `report` is a place
/// for its report.
pub(super) fn attempt(run: &Planned, report: &Path, children: &Children) -> io::Result<Attempt> {
    let began = Instant::now();
    let (output, theirs) = io::pipe()?;
    let mut command = Command::new(std::env::current_exe()?);
    // This thread waits for the run: it ends before only if it is killed.
    command.arg("run").arg("--die-with-parent");
    command.args(&run.options).arg("--report").arg(report);
    if !run.command.is_empty() {
        command.arg("--").args(&run.command);
    }
    command.stdin(Stdio::null()).stdout(theirs.try_clone()?).stderr(theirs);
    let mut child = command.spawn()?;
    // Its own copies of our ends go with it.
    drop(command);
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    children.add(pid);
    let kept = follow(output);
    children.remove(pid);
    let status = code(child.wait()?);
    let text = std::fs::read(report).ok();
    // For the next attempt, nothing of this one may be there.
    let _ = std::fs::remove_file(report);
    Ok(Attempt {
        status,
        time: began.elapsed(),
        output: kept?,
        report: text.and_then(|text| serde_json::from_slice(&text).ok()),
    })
}

/// Reads to the end, and keeps the end of it.
fn follow(mut output: impl Read) -> io::Result<Vec<u8>> {
    let (mut kept, mut buffer) = (VecDeque::new(), vec![0; 16 << 10]);
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return Ok(kept.into()),
            Ok(count) => {
                kept.extend(&buffer[..count]);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
