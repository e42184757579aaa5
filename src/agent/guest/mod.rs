//! What runs in the guest: the first process, and the step between it and the
//! command.
//!
//! The first process has the host as its only master. It ends the guest when
//! that is gone, and tells it whatever goes wrong; until they are connected, the
//! kernel's log has to do.

mod boot;
mod connection;
mod error;
mod launch;
mod root;
mod serve;
mod streams;

use std::env;
use std::process::ExitCode;

pub use boot::MODULES;
pub use launch::{is_launcher, launch};

/// Whether this process is the agent: the first one of a guest whose initial
/// RAM disk is ours.
pub fn is_called_for() -> bool {
    std::process::id() == 1
        && env::args_os().next().is_some_and(|name| name == "/init")
        && std::path::Path::new(MODULES).is_dir()
}

/// Serves the host until the guest ends.
pub fn main() -> ExitCode {
    if let Err(error) = serve::serve() {
        boot::complain(&error);
    }
    // Whoever waits has what it waits for, or never will.
    let refused = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF);
    log::error!("the guest cannot be powered off: {}", refused.unwrap_err());
    ExitCode::FAILURE
}
