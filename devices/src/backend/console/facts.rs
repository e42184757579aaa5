use std::time::Instant;

use super::signs::{self, Sign};

/// What the console has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleFacts {
    /// Whether there was any output at all.
    pub any_output: bool,
    /// The line in which the guest kernel said that it panics, without its
    /// time stamp; the first such line.
    pub panic: Option<String>,
    /// The kernel has said all about its panic and stays halted.
    pub panic_ended: bool,
    /// The kernel has announced a restart.
    pub restarting: bool,
    /// The kernel has announced that it powers off.
    pub powering_down: bool,
    /// The kernel has announced that it halts.
    pub halted: bool,
    /// How many oopses the kernel has reported.
    pub oopses: u32,
    /// How many warnings of its own.
    pub warnings: u32,
    /// The first of either, without its time stamp.
    pub complaint: Option<String>,
    /// When there was a first sign that the guest's first process runs: the
    /// kernel says so, or a line comes that is not the kernel's.
    pub init_started: Option<Instant>,
    /// The kernel's lines have no time stamps, so that those of others cannot
    /// be told from them.
    pub no_stamps: bool,
}

impl ConsoleFacts {
    /// What two consoles of one guest have shown together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            any_output: self.any_output || other.any_output,
            panic: self.panic.or(other.panic),
            panic_ended: self.panic_ended || other.panic_ended,
            restarting: self.restarting || other.restarting,
            powering_down: self.powering_down || other.powering_down,
            halted: self.halted || other.halted,
            // The kernel says it on each of its consoles.
            oopses: self.oopses.max(other.oopses),
            warnings: self.warnings.max(other.warnings),
            complaint: self.complaint.or(other.complaint),
            init_started: match (self.init_started, other.init_started) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            no_stamps: self.no_stamps || other.no_stamps,
        }
    }

    /// Learns from a line's head; returns whether it ended a panic.
    pub(super) fn learn(&mut self, line: &[u8]) -> bool {
        let (sign, text) = signs::read(line);
        let text = || String::from_utf8_lossy(text).trim_end().to_owned();
        match sign {
            None => {}
            Some(Sign::Panic) => {
                self.panic.get_or_insert_with(text);
            }
            Some(Sign::PanicEnd) => self.panic_ended = true,
            Some(Sign::Restart) => self.restarting = true,
            Some(Sign::PowerDown) => self.powering_down = true,
            Some(Sign::Halt) => self.halted = true,
            Some(Sign::Oops) => {
                self.oopses = self.oopses.saturating_add(1);
                self.complaint.get_or_insert_with(text);
            }
            Some(Sign::Warning) => {
                self.warnings = self.warnings.saturating_add(1);
                self.complaint.get_or_insert_with(text);
            }
            Some(Sign::NoStamps) => self.no_stamps = true,
            Some(Sign::Process) if self.no_stamps => {}
            Some(Sign::Init | Sign::Process) => {
                self.init_started.get_or_insert_with(Instant::now);
            }
        }
        sign == Some(Sign::PanicEnd)
    }
}
