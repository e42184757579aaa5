//! A machine: built from a [`VmConfig`], run to its
//! end, taken down in one way. The only code that sees all crates.

mod attach;
mod builder;
mod command;
mod error;
mod groundwork;
mod halt;
mod hint;
mod inputs;
mod lifecycle;
mod nets;
mod observer;
mod options;
mod outcome;
mod passt;
mod patterns;
mod pci;
mod phases;
mod platform;
mod shares;
mod silence;
mod supervisor;
mod taps;
#[cfg(test)]
mod tests;
mod verdict;
mod whereabouts;

pub use error::RunError;
pub use groundwork::Groundwork;
pub use hint::hint;
pub use outcome::Outcome;
pub use passt::PasstError;
pub use phases::{Milestone, Phases};

use std::sync::Arc;

use devices::backend::vsock::LocalPorts;

use crate::config::VmConfig;

/// Builds the machine that `config` describes on `groundwork`, runs it, and says
/// how it ended; `phases` learns how far it got and when. `ports` are those of the host that
/// this process serves: with any, the guest has a socket device even if
/// `config` has none.
///
/// To be called once, from the main thread: signals are blocked for the whole
/// process, and the calling thread becomes the event loop.
///
/// # Errors
/// [`RunError`] if Kiln or the host cannot run it.
pub fn run(
    groundwork: Groundwork,
    config: &VmConfig,
    ports: LocalPorts,
    phases: &Arc<Phases>,
) -> Result<Outcome, RunError> {
    // Before any other thread starts: they inherit the mask.
    let signals = vmm_core::sys::signal::Signals::block().map_err(error::host("take signals"))?;
    let inputs = inputs::Inputs::open(config, ports)?;
    builder::build(groundwork, config, inputs, signals, Arc::clone(phases))?.run()
}
