use std::time::Duration;

use devices::backend::console::ConsoleFacts;
use vmm_core::event::MachineRequest;

use super::RunError;
use crate::exit::Verdict;

/// What ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A request of the guest, a vCPU or a thread.
    Requested(MachineRequest),
    /// A signal.
    Signal(i32),
    /// The time given with `--timeout`.
    TimedOut(Duration),
    /// Every vCPU halted with interrupts masked.
    Halted,
    /// The guest kernel has said all about its panic and spins.
    PanicEnded,
}

/// What to call it, in the light of what the console showed.
///
/// A guest kernel that has said that it panics has panicked, whichever way it
/// then ends itself.
pub(super) fn verdict(ending: Ending, facts: &ConsoleFacts) -> Result<Verdict, RunError> {
    let or_panicked = |verdict| match &facts.panic {
        Some(line) => Verdict::Panicked { line: line.clone() },
        None => verdict,
    };
    let died = |cause: String, cpu, rip| or_panicked(Verdict::Died { cause, cpu, rip });
    let request = match ending {
        Ending::Signal(number) => {
            return Ok(Verdict::Signal(u8::try_from(number).expect("signals are below 65")));
        }
        Ending::TimedOut(after) => return Ok(Verdict::TimedOut(after)),
        Ending::Halted | Ending::PanicEnded => return Ok(or_panicked(Verdict::Halted)),
        Ending::Requested(request) => request,
    };
    Ok(match request {
        MachineRequest::PowerOff => or_panicked(Verdict::PoweredOff),
        MachineRequest::Reset { .. } => or_panicked(Verdict::Restarted),
        MachineRequest::TripleFault { .. } if facts.restarting => or_panicked(Verdict::Restarted),
        MachineRequest::TripleFault { cpu, rip } => died("a triple fault".into(), cpu, rip),
        MachineRequest::VcpuFailed { cpu, rip, failure } => died(failure.to_string(), cpu, rip),
        MachineRequest::Exit(value) => Verdict::DebugExit(value),
        MachineRequest::Quit => Verdict::Quit,
        MachineRequest::HostFailed { why } => return Err(RunError::Failed(why)),
        MachineRequest::ThreadFailed { name } => return Err(RunError::Thread(name)),
        other => return Err(RunError::Failed(format!("an unforeseen request: {other:?}"))),
    })
}
