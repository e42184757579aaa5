//! Programs that tests start.
//!
//! Until a new process runs its program, it has a copy of each descriptor of
//! this one: what a test closes meanwhile stays open to who is at its other end.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many [`NoneStarts`] there are.
static HOLDS: Mutex<usize> = Mutex::new(0);
static RELEASED: Condvar = Condvar::new();

fn holds() -> MutexGuard<'static, usize> {
    HOLDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts `command`, once no test minds.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    let held = RELEASED.wait_while(holds(), |holds| *holds > 0);
    let _held = held.unwrap_or_else(PoisonError::into_inner);
    command.spawn()
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
        *holds() += 1;
        Self(())
    }
}

impl Drop for NoneStarts {
    fn drop(&mut self) {
        *holds() -= 1;
        RELEASED.notify_all();
    }
}
