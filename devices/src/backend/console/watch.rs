use std::collections::VecDeque;

/// How much of a line is looked at, and how much of a panic's text is kept.
const LINE_HEAD: usize = 256;
/// How much of the latest output is kept.
const TAIL: usize = 4096;

/// What a guest kernel says on its console about its own end.
///
/// The texts are those of Linux 4.x to 6.x: `kernel/panic.c`,
/// `kernel/reboot.c` and `arch/x86/kernel/reboot.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    Panic,
    PanicEnd,
    Restart,
    PowerDown,
    Halt,
}

const ANNOUNCEMENTS: [(&[u8], Announcement); 6] = [
    (b"Kernel panic - not syncing", Announcement::Panic),
    (b"---[ end Kernel panic", Announcement::PanicEnd),
    (b"reboot: Restarting system", Announcement::Restart),
    (b"reboot: machine restart", Announcement::Restart),
    (b"reboot: Power down", Announcement::PowerDown),
    (b"reboot: System halted", Announcement::Halt),
];

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
        }
    }

    /// Learns from a line's head; returns whether it ended a panic.
    fn learn(&mut self, line: &[u8]) -> bool {
        let line = message(line);
        let Some(announcement) = announcement(line) else {
            return false;
        };
        match announcement {
            Announcement::Panic if self.panic.is_none() => {
                self.panic = Some(String::from_utf8_lossy(line).trim_end().to_owned());
            }
            Announcement::Panic => {}
            Announcement::PanicEnd => self.panic_ended = true,
            Announcement::Restart => self.restarting = true,
            Announcement::PowerDown => self.powering_down = true,
            Announcement::Halt => self.halted = true,
        }
        announcement == Announcement::PanicEnd
    }
}

/// Reads the output along, byte by byte, in bounded memory.
#[derive(Default)]
pub(super) struct Watch {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    facts: ConsoleFacts,
}

impl Watch {
    /// Takes the next byte; returns whether it ended the report of a panic.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        self.facts.any_output = true;
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(byte);
        if matches!(byte, b'\n' | b'\r') {
            let ended = self.facts.learn(&self.head);
            self.head.clear();
            return ended;
        }
        if self.head.len() < LINE_HEAD {
            self.head.push(byte);
        }
        false
    }

    /// What is known, the line that has not ended yet included.
    pub(super) fn facts(&self) -> ConsoleFacts {
        let mut facts = self.facts.clone();
        facts.learn(&self.head);
        facts
    }

    /// The latest output, at most 4 KiB.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.tail.iter().copied().collect()
    }
}

/// Only the beginning of a message counts, so that a command that mentions
/// one of the texts is not taken for the kernel.
fn announcement(message: &[u8]) -> Option<Announcement> {
    let found = ANNOUNCEMENTS.iter().find(|(text, _)| message.starts_with(text))?;
    Some(found.1)
}

/// `line` without what printk and terminals put before a message: levels
/// (`<0>`), time stamps and callers (`[    1.234567]`, `[    T1]`), colours.
fn message(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = without_prefix(line) {
        line = rest;
    }
    line
}

fn without_prefix(line: &[u8]) -> Option<&[u8]> {
    match line {
        [b' ' | b'\t', rest @ ..] => Some(rest),
        [b'<', rest @ ..] => bracketed(rest, b'>', |b| b.is_ascii_digit()),
        [b'[', rest @ ..] => {
            bracketed(rest, b']', |b| matches!(b, b' ' | b'.' | b'C' | b'T' | b'0'..=b'9'))
        }
        // ECMA-48 §5.4: a control sequence ends with a byte from @ to ~.
        [0x1b, b'[', rest @ ..] => {
            let end = rest.iter().position(|b| (0x40..=0x7e).contains(b))?;
            Some(&rest[end + 1..])
        }
        _ => None,
    }
}

/// What follows `close`, if only bytes that `inside` allows come before it.
fn bracketed(rest: &[u8], close: u8, inside: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let end = rest.iter().position(|b| *b == close)?;
    let (within, after) = rest.split_at(end);
    (!within.is_empty() && within.iter().all(|b| inside(*b))).then(|| &after[1..])
}
