use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devices::backend::net::{NetBackend, Passt, PasstEnds};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use vm_memory::VolatileSlice;
use vmm_core::sys;

use super::{PasstError, arguments, probe};
use crate::config::UserConfig;

const PROGRAM: &str = "passt";
/// How long passt may take until it answers. It needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A passt that runs. It is ended when this is dropped.
#[derive(Debug)]
pub(in crate::machine) struct PasstProcess(Child);

impl PasstProcess {
    /// Starts passt for a guest with address `mac` and packets of up to `mtu`
    /// bytes, and waits until it serves: the connection with it, and the
    /// process.
    pub(in crate::machine) fn start(
        user: &UserConfig,
        mtu: u16,
        mac: [u8; 6],
    ) -> Result<(Passt, Self), PasstError> {
        let (mut passt, ends) = Passt::pair(mtu).map_err(PasstError::Start)?;
        let process = Self::spawn(user, mtu, ends)?;
        confirm(&mut passt, mac)?;
        log::debug!("passt serves a network, process {}", process.0.id());
        Ok((passt, process))
    }

    fn spawn(user: &UserConfig, mtu: u16, ends: PasstEnds) -> Result<Self, PasstError> {
        // Inherited by what is started until this end is closed, which is at
        // the end of this function: nothing but passt.
        fcntl(&ends.stream, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(|errno| PasstError::Start(errno.into()))?;
        Command::new(PROGRAM)
            .args(arguments::arguments(user, mtu, ends.stream.as_raw_fd()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(ends.words)
            // A terminal's Ctrl-C is for Kiln or the guest.
            .process_group(0)
            .spawn()
            .map(Self)
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => PasstError::Absent,
                _ => PasstError::Start(error),
            })
    }
}

impl Drop for PasstProcess {
    fn drop(&mut self) {
        // It has nothing to tidy up. If it cannot be killed, having changed
        // its user, it still goes when the connection is closed.
        if self.0.kill().is_ok() {
            let _ = self.0.wait();
        }
    }
}

/// Waits until passt answers, and takes that answer.
fn confirm(passt: &mut Passt, mac: [u8; 6]) -> Result<(), PasstError> {
    for mut frame in [probe::arp(mac), probe::solicitation(mac)] {
        // If passt is gone already, reading tells.
        let _ = passt.send_frame(&[VolatileSlice::from(&mut frame[..])]);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match passt.receive_frame() {
            Ok(_) => {
                // What it said of its start is not why it ends one day.
                let said = passt.words();
                log::debug!("passt: {said}");
                return Ok(());
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => error,
            Err(_) if Instant::now() >= deadline => return Err(PasstError::Silent),
            Err(_) => match sys::wait_readable(passt.poll_fd(), deadline) {
                Ok(()) => continue,
                Err(error) => error,
            },
        };
        match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
                return Err(PasstError::of_words(passt.words()));
            }
            _ => return Err(PasstError::Connection(error)),
        }
    }
}
