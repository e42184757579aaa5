//! The signals that Kiln takes: orders from outside, and the kick that
//! interrupts a thread in a blocking system call.
#![expect(unsafe_code, reason = "nix has no safe way to ask for a signal's disposition")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

/// What a signal from outside asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the run; the exit status is 128 plus this signal number.
    End(i32),
    /// Look again at what the host may have changed: SIGHUP, which asks other
    /// long-running programs for the same.
    Refresh,
    /// The terminal has another size.
    Resize,
    /// Job control stops the process: restore the terminal, then
    /// [`Signals::stop_self`].
    Stop,
    /// Job control has continued the process: take the terminal again.
    Continue,
}

/// Signals from outside as a descriptor for the event loop.
pub struct Signals {
    fd: SignalFd,
    hang_up: HangUp,
}

/// What SIGHUP is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HangUp {
    /// The process began on a terminal: if that is gone, the run ends.
    OfTerminal,
    /// There was no terminal, or the loss of it is to be survived (`nohup`).
    OfNothing,
}

impl Signals {
    /// Blocks the signals that Kiln takes and opens the descriptor they
    /// arrive at. Threads inherit the mask, so call it before any starts.
    ///
    /// Taken are SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT and SIGWINCH; those
    /// that were ignored when the process began (a script's `&`) stay ignored,
    /// except SIGTERM and SIGHUP. SIGHUP is [`Order::Refresh`], unless the
    /// kernel sent it or the terminal that the process began on is gone: then
    /// it ends the run, except under `nohup`. SIGTTIN and SIGTTOU are blocked, so that
    /// touching the terminal from the background fails instead of stopping the
    /// VM. SIGPIPE is ignored, so that a closed pipe is an error of the write.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn block() -> io::Result<Self> {
        let mut taken = SigSet::empty();
        taken.add(Signal::SIGTERM);
        taken.add(Signal::SIGCONT);
        taken.add(Signal::SIGHUP);
        taken.add(Signal::SIGWINCH);
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP] {
            if !is_ignored(signal)? {
                taken.add(signal);
            }
        }
        let mut blocked = taken;
        blocked.add(Signal::SIGTTIN);
        blocked.add(Signal::SIGTTOU);
        blocked.thread_block()?;
        ignore_sigpipe()?;
        let fd = SignalFd::with_flags(&taken, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let hang_up = if has_terminal() && !is_ignored(Signal::SIGHUP)? {
            HangUp::OfTerminal
        } else {
            HangUp::OfNothing
        };
        Ok(Self { fd, hang_up })
    }

    /// The next order that has arrived, if any; never waits.
    ///
    /// # Errors
    /// What the read said.
    pub fn next(&self) -> io::Result<Option<Order>> {
        let Some(info) = self.fd.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).expect("signal numbers are below 65");
        Ok(Some(match number {
            libc::SIGTSTP => Order::Stop,
            libc::SIGCONT => Order::Continue,
            libc::SIGWINCH => Order::Resize,
            libc::SIGHUP if !self.is_hang_up(info.ssi_code) => Order::Refresh,
            signal => Order::End(signal),
        }))
    }

    /// Whether a SIGHUP with that `ssi_code` tells of a lost terminal. The
    /// kernel tells the shell and the foreground job, and the shell its others.
    fn is_hang_up(&self, code: i32) -> bool {
        self.hang_up == HangUp::OfTerminal && (code == libc::SI_KERNEL || !has_terminal())
    }

    /// Stops the whole process, as the SIGTSTP that was taken would have;
    /// returns when it is continued.
    ///
    /// # Errors
    /// What the system call said.
    pub fn stop_self() -> io::Result<()> {
        Ok(nix::sys::signal::raise(Signal::SIGSTOP)?)
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Calls `spawn`, which starts a thread that is to take no signals, whatever the
/// calling thread takes.
///
/// # Errors
/// What `spawn` or a system call said.
pub fn shielded<T>(spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let result = spawn();
    before.thread_set_mask()?;
    result
}

/// Whether the process has a controlling terminal that is still there.
fn has_terminal() -> bool {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    File::options().read(true).custom_flags(flags).open("/dev/tty").is_ok()
}

fn is_ignored(signal: Signal) -> io::Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the new action is null, so nothing changes; `action` has room
    // for the old one and lives through the call.
    let done = unsafe { libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr()) };
    Errno::result(done)?;
    // SAFETY: `sigaction` returned 0 and so has filled `action`.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

fn ignore_sigpipe() -> io::Result<()> {
    // SAFETY: ignoring a signal runs no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    Ok(())
}

/// The signal that interrupts a blocking system call of one thread.
pub fn kick_signal() -> i32 {
    SIGRTMIN()
}

/// Gives the kick signal a handler that does nothing, without SA_RESTART: the
/// interrupted system call fails with EINTR. Only the first call does
/// anything.
///
/// # Errors
/// What `sigaction` said.
pub fn install_kick_handler() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| register_signal_handler(kick_signal(), nothing).map_err(|e| e.errno()))
        .map_err(io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests;
