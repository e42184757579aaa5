use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use vmm_core::sys::{loopback, process};

use super::connection::{self, Control};
use super::error::{AgentError, kernel};
use super::streams::{self, Terminal};
use super::{boot, launch, root};
use crate::agent::protocol::{
    self, CommandEnd, Job, Opening, TO_GUEST_MAX, ToGuest, ToHost, VERSION,
};
use crate::exit::Chain;

/// How long what the command has written may take to leave it after its end.
/// All writers are killed by then; only a kernel that is stuck takes longer.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// Connects to the host, and does what it says until it hangs up.
pub(super) fn serve() -> Result<(), AgentError> {
    boot::load_modules()?;
    let connection = connection::open(&Opening::Control { version: VERSION })?;
    let orders = connection.try_clone().map_err(kernel("share a connection"))?;
    let control = Control::new(connection);
    let job = match protocol::read(&orders, TO_GUEST_MAX)? {
        Some(ToGuest::Start(job)) => job,
        _ => return Err(AgentError::NoJob),
    };
    match work(&job, &control, orders) {
        Ok(end) => control.say(&ToHost::Ended(end))?,
        Err(error) => control.say(&ToHost::Failed(Chain(&error).to_string()))?,
    }
    // The host ends the guest once it has all output, sooner or later.
    loop {
        thread::park();
    }
}

/// Runs the command of `job` to its end.
fn work(job: &Job, control: &Control, orders: File) -> Result<CommandEnd, AgentError> {
    let connections = streams::connect(job)?;
    root::enter(job)?;
    nix::unistd::sethostname(job.hostname.as_os_str()).map_err(kernel("set the host name"))?;
    if let Err(error) = loopback::bring_up() {
        log::debug!("there is no loopback network: {error}");
    }
    let streams = streams::open(job, connections)?;
    let child = launch::start(job, streams.ends).map_err(kernel("start the command"))?;
    let pid = i32::try_from(child.id()).expect("a process id is an i32");
    control.say(&ToHost::Started)?;
    obey(orders, control.clone(), pid, streams.terminal)?;
    let status = wait(pid).map_err(kernel("wait for the command"))?;
    // What it has left running has nobody to run for, and may hold its streams.
    let _ = kill(Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL);
    match streams.written.recv_timeout(LAST_BYTES) {
        Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
    }
    nix::unistd::sync();
    Ok(status)
}

/// Waits for the command, and lets other orphans go in peace.
fn wait(command: i32) -> io::Result<CommandEnd> {
    loop {
        let (pid, status) = process::wait_any()?;
        if pid == command {
            return Ok(end(status));
        }
    }
}

fn end(status: ExitStatus) -> CommandEnd {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.code(), status.signal()) {
        (Some(code), _) => CommandEnd::Exited(byte(code)),
        (None, signal) => CommandEnd::Killed(byte(signal.unwrap_or(0))),
    }
}

/// Does what the host says, in a thread of its own. Without a host, there is
/// nothing left to do.
fn obey(
    orders: File,
    control: Control,
    command: i32,
    terminal: Option<Terminal>,
) -> Result<(), AgentError> {
    let body = move || {
        loop {
            match protocol::read(&orders, TO_GUEST_MAX) {
                Ok(Some(ToGuest::Signal(number))) => {
                    send(command, number);
                    if control.say(&ToHost::Signalled).is_err() {
                        break;
                    }
                }
                Ok(Some(ToGuest::Resize(size))) => {
                    if let Some(Err(error)) = terminal.as_ref().map(|tty| tty.resize(size)) {
                        log::debug!("the terminal keeps its size: {error}");
                    }
                }
                Ok(Some(ToGuest::Start(_)) | None) | Err(_) => break,
            }
        }
        let _ = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF);
    };
    streams::spawn("orders", body)
}

/// Sends a signal to the command's whole process group, or to itself if it has
/// none yet.
fn send(command: i32, number: u8) {
    let Ok(signal) = nix::sys::signal::Signal::try_from(i32::from(number)) else { return };
    if kill(Pid::from_raw(-command), signal).is_err() {
        // Fails only if it has just ended.
        let _ = kill(Pid::from_raw(command), signal);
    }
}
