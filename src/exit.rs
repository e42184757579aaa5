//! How a run ends, and the exit status and sentence that say so.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::agent::protocol::CommandEnd;

#[cfg(test)]
mod tests;

/// The exit statuses of `kiln`: the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: the guest ended itself, or the command did what it was asked to.
    Success,
    /// 1: a run of `kiln test` failed.
    TestsFailed,
    /// 2: the command line is wrong.
    Usage,
    /// 123: what the console showed, or did not show, makes the run a failure.
    Refused,
    /// 124: the `--timeout` or the `--boot-timeout` passed.
    TimedOut,
    /// 125: kiln or the host could not run the guest.
    Failed,
    /// 126: the guest kernel panicked.
    Panicked,
    /// 127: the guest died without a word.
    Died,
    /// 128 + n: signal n ended the run.
    Signal(u8),
    /// The value that the guest wrote to isa-debug-exit, or the status of the
    /// command that it ran.
    Guest(u8),
}

impl ExitStatus {
    /// The number for the parent process.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::TestsFailed => 1,
            Self::Usage => 2,
            Self::Refused => 123,
            Self::TimedOut => 124,
            Self::Failed => 125,
            Self::Panicked => 126,
            Self::Died => 127,
            Self::Signal(number) => number.saturating_add(128),
            Self::Guest(value) => value,
        }
    }

    /// Whether it is a success for the parent process, whoever says so.
    pub fn is_success(self) -> bool {
        self.code() == Self::Success.code()
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// How a guest's run ended. Its `Display` is the sentence for stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The guest powered itself off.
    PoweredOff,
    /// The guest asked for a restart, which ends the run.
    Restarted,
    /// Every processor halted with interrupts masked.
    Halted,
    /// The guest wrote this value to isa-debug-exit.
    DebugExit(u8),
    /// The time given with `--timeout` passed.
    TimedOut(Duration),
    /// The time given with `--boot-timeout` passed without a sign of the
    /// guest's first process.
    BootTimedOut(Duration),
    /// A line of the console matched a pattern, which ended the run.
    Matched(Matched),
    /// The guest ended itself as the verdict within says, but no line of the
    /// console matched a `--succeed-on`.
    Unmatched(Box<Verdict>),
    /// The guest ended itself as the verdict within says, but its kernel had
    /// warned, and `--fail-on-warning` was given.
    Warned {
        /// How it ended.
        ending: Box<Verdict>,
        /// The kernel's first line of that kind.
        line: String,
    },
    /// The guest kernel panicked.
    Panicked {
        /// The kernel's own line, from "Kernel panic" on; `None` if the
        /// console did not show it and only the panic device told.
        line: Option<String>,
    },
    /// The guest died without a word.
    Died {
        /// What happened, as a clause: "a triple fault".
        cause: String,
        /// The processor it happened on.
        cpu: u8,
        /// Its instruction pointer, if it could be read.
        rip: Option<u64>,
    },
    /// The command that the guest was for has ended.
    Command(CommandEnd),
    /// The command could not be run.
    CommandFailed {
        /// Why, as a clause.
        why: String,
    },
    /// The command ended with status 0, but not all that it wrote has arrived.
    CommandUnheard {
        /// Why, as a clause.
        why: String,
    },
    /// The guest ended before the command did.
    CommandLost {
        /// What the guest did: "powered off".
        how: &'static str,
        /// What its agent said was wrong, as a clause.
        complaint: Option<String>,
    },
    /// The person at the terminal ended the run with the escape key, which
    /// counts as an interrupt.
    Quit,
    /// A signal ended the run.
    Signal(u8),
}

/// A line of the console and the pattern that it matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Whether that fails the run, or is its success.
    pub fails: bool,
    /// The regular expression as written.
    pub pattern: String,
    /// The line, or its beginning.
    pub line: String,
}

impl Matched {
    /// The option that the pattern was given with.
    pub fn option(&self) -> &'static str {
        if self.fails { "--fail-on" } else { "--succeed-on" }
    }
}

impl Verdict {
    /// A word for it that programs can rely on.
    pub fn word(&self) -> &'static str {
        match self {
            Self::PoweredOff => "powered-off",
            Self::Restarted => "restarted",
            Self::Halted => "halted",
            Self::DebugExit(_) => "debug-exit",
            Self::TimedOut(_) => "timed-out",
            Self::BootTimedOut(_) => "boot-timed-out",
            Self::Matched(Matched { fails: true, .. }) => "failed-on",
            Self::Matched(Matched { fails: false, .. }) => "succeeded-on",
            Self::Unmatched(_) => "not-succeeded-on",
            Self::Warned { .. } => "warned",
            Self::Panicked { .. } => "panicked",
            Self::Died { .. } => "died",
            Self::Command(CommandEnd::Exited(_)) => "command-exited",
            Self::Command(CommandEnd::Killed(_)) => "command-killed",
            Self::CommandFailed { .. } => "command-failed",
            Self::CommandUnheard { .. } => "command-unheard",
            Self::CommandLost { .. } => "command-lost",
            Self::Quit => "quit",
            Self::Signal(_) => "signal",
        }
    }

    /// The exit status that tells it.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::PoweredOff | Self::Restarted | Self::Halted => ExitStatus::Success,
            Self::DebugExit(value) => ExitStatus::Guest(*value),
            Self::TimedOut(_) | Self::BootTimedOut(_) => ExitStatus::TimedOut,
            Self::Matched(Matched { fails: false, .. }) => ExitStatus::Success,
            Self::Matched(_) | Self::Unmatched(_) | Self::Warned { .. } => ExitStatus::Refused,
            Self::Panicked { .. } => ExitStatus::Panicked,
            Self::Died { .. } => ExitStatus::Died,
            Self::Command(CommandEnd::Exited(status)) => ExitStatus::Guest(*status),
            Self::Command(CommandEnd::Killed(signal)) => ExitStatus::Signal(*signal),
            Self::CommandFailed { .. } | Self::CommandUnheard { .. } => ExitStatus::Failed,
            Self::CommandLost { .. } => ExitStatus::Died,
            Self::Quit => ExitStatus::Signal(SIGINT),
            Self::Signal(number) => ExitStatus::Signal(*number),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => f.write_str("the guest powered off"),
            Self::Restarted => f.write_str("the guest asked for a restart, which ends the run"),
            Self::Halted => f.write_str("the guest halted for good"),
            Self::DebugExit(value) => write!(f, "the guest ended with status {value}"),
            Self::TimedOut(after) => {
                write!(f, "the run timed out after {}", humantime::format_duration(*after))
            }
            Self::BootTimedOut(after) => {
                let after = humantime::format_duration(*after);
                write!(f, "the boot timed out: no sign of a first process after {after}")
            }
            Self::Matched(matched) => {
                let Matched { fails, pattern, line } = matched;
                let what = if *fails { "failed" } else { "succeeded" };
                write!(f, "the run {what}, as {} {pattern} says: {line}", matched.option())
            }
            Self::Unmatched(ending) => {
                write!(f, "{ending}, but the console never showed what --succeed-on waits for")
            }
            Self::Warned { ending, line } => {
                write!(f, "{ending}, but its kernel had warned (--fail-on-warning): {line}")
            }
            Self::Panicked { line: Some(line) } => write!(f, "the guest kernel died: {line}"),
            Self::Panicked { line: None } => {
                f.write_str("the guest kernel died: it told the panic device, and no console why")
            }
            Self::Died { cause, cpu, rip } => {
                write!(f, "the guest died without a word on processor {cpu}, ")?;
                match rip {
                    Some(rip) => write!(f, "RIP {rip:#x}: {cause}"),
                    None => write!(f, "RIP unknown: {cause}"),
                }
            }
            Self::Command(CommandEnd::Exited(status)) => {
                write!(f, "the command ended with status {status}")
            }
            Self::Command(CommandEnd::Killed(signal)) => {
                write!(f, "the command was killed by {}", SignalName(*signal))
            }
            Self::CommandFailed { why } => write!(f, "the command cannot be run: {why}"),
            Self::CommandUnheard { why } => {
                write!(f, "the command ended with status 0, but its output is not whole: {why}")
            }
            Self::CommandLost { how, complaint } => {
                write!(f, "the guest {how} before the command had ended")?;
                complaint.iter().try_for_each(|why| write!(f, ": {why}"))
            }
            Self::Quit => f.write_str("the run was ended from the terminal"),
            Self::Signal(number) => write!(f, "the run was ended by {}", SignalName(*number)),
        }
    }
}

/// Number of the signal that Ctrl-C sends.
const SIGINT: u8 = 2;

struct SignalName(u8);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("SIGHUP"),
            SIGINT => f.write_str("SIGINT"),
            3 => f.write_str("SIGQUIT"),
            15 => f.write_str("SIGTERM"),
            number => write!(f, "signal {number}"),
        }
    }
}

/// An error and its causes on one line: `message: cause: cause`.
///
/// A cause that its parent's message already ends with is said once.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = plain(self.0);
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = plain(cause);
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            next = cause.source();
        }
        Ok(())
    }
}

/// The error's sentence on one line, without the error number that the
/// standard library adds to the operating system's own words.
fn plain(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let text = match text.rsplit_once(" (os error ") {
        Some((words, number)) if number.trim_end_matches(')').parse::<i32>().is_ok() => words,
        _ => text.as_str(),
    };
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
