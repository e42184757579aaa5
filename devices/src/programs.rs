//! Programs that tests start.
//!
//! Until a new process runs its program, it has a copy of each descriptor of
//! this one: what a test closes meanwhile stays open to who is at its other end.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug)]
struct Counts {
    /// Programs that are being started.
    starts: usize,
    /// How many [`NoneStarts`] there are.
    holds: usize,
}

static COUNTS: Mutex<Counts> = Mutex::new(Counts { starts: 0, holds: 0 });
static CHANGED: Condvar = Condvar::new();

/// Waits until `must_wait` says no, and then changes the counts.
fn change_unless(must_wait: impl Fn(&Counts) -> bool, change: impl Fn(&mut Counts)) {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = CHANGED.wait_while(counts, |counts| must_wait(counts));
    change(&mut counts.unwrap_or_else(PoisonError::into_inner));
    CHANGED.notify_all();
}

/// Starts `command`, once no test minds.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    change_unless(|counts| counts.holds > 0, |counts| counts.starts += 1);
    let started = command.spawn();
    change_unless(|_| false, |counts| counts.starts -= 1);
    started
}

/// Runs `command` to its end.
pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    start(command)?.wait_with_output()
}

/// While one lives, no test starts a program.
#[derive(Debug)]
pub(crate) struct NoneStarts(());

impl NoneStarts {
    pub(crate) fn new() -> Self {
        change_unless(|_| false, |counts| counts.holds += 1);
        change_unless(|counts| counts.starts > 0, |_| ());
        Self(())
    }
}

impl Drop for NoneStarts {
    fn drop(&mut self) {
        change_unless(|_| false, |counts| counts.holds -= 1);
    }
}
