use std::time::Duration;

use devices::backend::console::ConsoleFacts;
use vmm_core::event::MachineRequest;

use super::RunError;
use crate::agent::host::Progress;
use crate::exit::{Matched, Verdict};

/// What ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A request of the guest, a vCPU or a thread.
    Requested(MachineRequest),
    /// A signal.
    Signal(i32),
    /// The time given with `--timeout`.
    TimedOut(Duration),
    /// The time given with `--boot-timeout`.
    BootTimedOut(Duration),
    /// Every vCPU halted with interrupts masked.
    Halted,
    /// The guest kernel has panicked and does nothing more.
    PanicEnded,
    /// A line of a console matched a pattern.
    Matched,
}

impl Ending {
    /// Whether the guest's time was up.
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::BootTimedOut(_))
    }
}

/// What else there is to judge a run by.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// What the consoles showed.
    pub facts: ConsoleFacts,
    /// The guest kernel told the panic device of its panic.
    pub panic_noted: bool,
    /// The first line that matched a pattern.
    pub matched: Option<Matched>,
    /// Only a match makes a success.
    pub must_match: bool,
    /// A warning of the kernel's makes a failure.
    pub fail_on_warning: bool,
    /// How far the command came, if there was to be one.
    pub command: Option<Progress>,
    /// What the guest's side of it said on a console, as a clause.
    pub complaint: Option<String>,
}

/// What to call it, in the light of the evidence.
///
/// A pattern that matched decides, but over a signal. A guest kernel that has
/// said that it panics has panicked, whichever way it then ends itself. Only a
/// success is held against what must have matched and must not have been said.
pub(super) fn verdict(ending: Ending, evidence: &Evidence) -> Result<Verdict, RunError> {
    let verdict = match (ended(ending, evidence)?, &evidence.matched) {
        (verdict @ (Verdict::Signal(_) | Verdict::Quit), _) => verdict,
        (_, Some(matched)) => Verdict::Matched(matched.clone()),
        (verdict, None) => verdict,
    };
    if !verdict.status().is_success() {
        return Ok(verdict);
    }
    let is_match = matches!(verdict, Verdict::Matched(_));
    if evidence.must_match && !is_match {
        return Ok(Verdict::Unmatched(Box::new(verdict)));
    }
    match &evidence.facts.complaint {
        Some(line) if evidence.fail_on_warning => {
            Ok(Verdict::Warned { ending: Box::new(verdict), line: line.clone() })
        }
        _ => Ok(verdict),
    }
}

/// What became of the command, if it or its session has come to an end.
fn of_command(progress: &Progress) -> Option<Verdict> {
    match progress {
        Progress::Ended(end) => Some(Verdict::Command(*end)),
        Progress::Unheard(why) => Some(Verdict::CommandUnheard { why: why.clone() }),
        Progress::Failed(why) => Some(Verdict::CommandFailed { why: why.clone() }),
        Progress::Silent | Progress::Preparing | Progress::Running => None,
    }
}

/// A guest that ended by itself, as `verdict` has it, has failed if it was to
/// run a command to its end.
fn without_command(how: &'static str, evidence: &Evidence, verdict: Verdict) -> Verdict {
    let Some(progress) = &evidence.command else { return verdict };
    let lost = || Verdict::CommandLost { how, complaint: evidence.complaint.clone() };
    of_command(progress).unwrap_or_else(lost)
}

fn finished(command: Option<&Progress>) -> Verdict {
    let early = || Verdict::CommandFailed { why: "its session ended early".into() };
    command.and_then(of_command).unwrap_or_else(early)
}

/// How the guest itself ended.
fn ended(ending: Ending, evidence: &Evidence) -> Result<Verdict, RunError> {
    let facts = &evidence.facts;
    let or_panicked = |verdict| match &facts.panic {
        Some(line) => Verdict::Panicked { line: Some(line.clone()) },
        None if evidence.panic_noted => Verdict::Panicked { line: None },
        None => verdict,
    };
    let of_guest = |how, verdict| or_panicked(without_command(how, evidence, verdict));
    let died = |cause: String, cpu, rip| or_panicked(Verdict::Died { cause, cpu, rip });
    let request = match ending {
        Ending::Signal(number) => {
            return Ok(Verdict::Signal(u8::try_from(number).expect("signals are below 65")));
        }
        Ending::TimedOut(after) => return Ok(Verdict::TimedOut(after)),
        Ending::BootTimedOut(after) => return Ok(or_panicked(Verdict::BootTimedOut(after))),
        Ending::Halted | Ending::PanicEnded => return Ok(of_guest("halted", Verdict::Halted)),
        Ending::Matched => return Ok(or_panicked(Verdict::Halted)),
        Ending::Requested(request) => request,
    };
    Ok(match request {
        MachineRequest::PowerOff => of_guest("powered off", Verdict::PoweredOff),
        MachineRequest::Reset { .. } => of_guest("restarted", Verdict::Restarted),
        MachineRequest::TripleFault { .. } if facts.restarting => {
            of_guest("restarted", Verdict::Restarted)
        }
        MachineRequest::TripleFault { cpu, rip } => died("a triple fault".into(), cpu, rip),
        MachineRequest::VcpuFailed { cpu, rip, failure } => died(failure.to_string(), cpu, rip),
        MachineRequest::Exit(value) => Verdict::DebugExit(value),
        MachineRequest::Finished => finished(evidence.command.as_ref()),
        MachineRequest::Quit => Verdict::Quit,
        MachineRequest::HostFailed { why } => return Err(RunError::Failed(why)),
        MachineRequest::ThreadFailed { name } => return Err(RunError::Thread(name)),
        other => return Err(RunError::Failed(format!("an unforeseen request: {other:?}"))),
    })
}
