//! The user's terminal: raw while a guest has it, as it was afterwards.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use nix::sys::termios::{
    InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr,
    tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};

pub use size::{control, resize, size};

/// The one terminal that is raw, for the paths that cannot reach its guard.
static RAW: Mutex<Option<Raw>> = Mutex::new(None);

/// Whether it is raw now; for those who may not wait for the lock.
static IS_RAW: AtomicBool = AtomicBool::new(false);

struct Raw {
    fd: OwnedFd,
    original: Termios,
    raw: Termios,
}

/// Holds a terminal in raw mode; dropping it restores the terminal.
///
/// Code that may end the process without dropping it, such as a panic hook,
/// calls [`restore`].
#[must_use = "dropping the guard restores the terminal at once"]
pub struct RawTerminal(());

impl RawTerminal {
    /// Puts the terminal behind `fd` in raw mode: every byte typed arrives at
    /// once, unechoed, and Ctrl-C is a byte like any other. What is printed is
    /// left alone, too: the guest says itself where a line begins, and whoever
    /// else prints looks at [`is_raw`].
    ///
    /// A process in the background leaves the terminal alone until [`reapply`]
    /// finds it in the foreground.
    ///
    /// # Errors
    /// If `fd` is no terminal (ENOTTY), or a terminal is raw already
    /// (`AlreadyExists`).
    pub fn enter(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let mut slot = lock();
        if slot.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let original = tcgetattr(fd)?;
        let raw = raw_mode(original.clone());
        let fd = fd.try_clone_to_owned()?;
        set_if_foreground(fd.as_fd(), &raw)?;
        IS_RAW.store(true, Ordering::Relaxed);
        *slot = Some(Raw { fd, original, raw });
        Ok(Self(()))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let slot = lock().take();
        if let Some(Raw { fd, original, .. }) = slot {
            // A terminal that has hung up needs no restoring.
            let _ = set_if_foreground(fd.as_fd(), &original);
            IS_RAW.store(false, Ordering::Relaxed);
        }
    }
}

/// Restores the raw terminal, if there is one, from wherever the process is
/// about to end or stop. Never blocks; [`reapply`] undoes it.
pub fn restore() {
    let slot = match RAW.try_lock() {
        Ok(slot) => slot,
        Err(TryLockError::Poisoned(e)) => e.into_inner(),
        // Whoever holds the lock is in the middle of setting the mode.
        Err(TryLockError::WouldBlock) => return,
    };
    if let Some(Raw { fd, original, .. }) = slot.as_ref() {
        let _ = set_if_foreground(fd.as_fd(), original);
        IS_RAW.store(false, Ordering::Relaxed);
    }
}

/// Makes the terminal raw again after the process was stopped and continued;
/// nothing happens without a [`RawTerminal`] or in the background.
pub fn reapply() {
    if let Some(Raw { fd, raw, .. }) = lock().as_ref() {
        let _ = set_if_foreground(fd.as_fd(), raw);
        IS_RAW.store(true, Ordering::Relaxed);
    }
}

/// Whether a terminal is raw, so that a line on it ends in CR and LF. Never
/// waits.
pub fn is_raw() -> bool {
    IS_RAW.load(Ordering::Relaxed)
}

/// Whether the terminal behind `fd` belongs to another process group now, as
/// job control has it. False if `fd` is not our controlling terminal.
pub fn in_background(fd: impl AsFd) -> bool {
    tcgetpgrp(fd).is_ok_and(|owner| owner != getpgrp())
}

fn lock() -> MutexGuard<'static, Option<Raw>> {
    RAW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Never waits for output to drain: a terminal stopped by Ctrl-S would hold
/// up the end of the process.
fn set_if_foreground(fd: BorrowedFd<'_>, mode: &Termios) -> io::Result<()> {
    if !in_background(fd) {
        tcsetattr(fd, SetArg::TCSANOW, mode)?;
    }
    Ok(())
}

fn raw_mode(mut mode: Termios) -> Termios {
    mode.input_flags &= !(InputFlags::IGNBRK
        | InputFlags::BRKINT
        | InputFlags::PARMRK
        | InputFlags::ISTRIP
        | InputFlags::INLCR
        | InputFlags::IGNCR
        | InputFlags::ICRNL
        | InputFlags::IXON);
    mode.output_flags &= !OutputFlags::OPOST;
    mode.local_flags &= !(LocalFlags::ECHO
        | LocalFlags::ECHONL
        | LocalFlags::ICANON
        | LocalFlags::ISIG
        | LocalFlags::IEXTEN);
    mode.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    mode.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    mode
}

mod size;
#[cfg(test)]
mod tests;
