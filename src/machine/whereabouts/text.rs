use std::time::Duration;

use devices::backend::console::plain;
use vmm_core::vcpu::{ExitCounts, Snapshot};

use super::{Exits, Names};

/// Processors whose registers are shown in full.
const SHOWN: usize = 64;
/// Processors that a note of one line names.
const NOTED: usize = 4;
/// Lines of the console that are shown, ...
const LINES: usize = 20;
/// ... and how much of each, in characters.
const WIDTH: usize = 400;

/// Lines about each processor.
pub(in crate::machine) fn report(
    snapshots: &[Option<Snapshot>],
    names: &Names,
    (time, exits): &(Duration, Vec<Exits>),
) -> Vec<String> {
    let mut lines = Vec::new();
    for (cpu, snapshot) in snapshots.iter().enumerate().take(SHOWN) {
        match snapshot {
            Some(snapshot) => {
                lines.push(format!("processor {cpu}: {}", names.place(snapshot)));
                lines.extend(registers(snapshot).map(|line| format!("  {line}")));
            }
            None => lines.push(format!("processor {cpu} is held up outside of the guest")),
        }
        if let Some(exits) = exits.get(cpu) {
            let time = seconds(*time);
            lines.push(format!("  exits in the last {time}: {}", reasons(&exits.own)));
            if let Some(kvm) = &exits.kvm {
                lines.push(format!("  counted by KVM: {}", listed(kvm.by_name())));
            }
        }
    }
    if let Some(more) = snapshots.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} processors more"));
    }
    let lstar = snapshots.iter().flatten().find_map(|snapshot| snapshot.lstar);
    lines.extend(names.lack(lstar));
    lines
}

/// One line about all processors of a guest whose console is silent.
pub(in crate::machine) fn note(
    snapshots: &[Option<Snapshot>],
    names: &Names,
    (time, exits): &(Duration, Vec<Exits>),
    cmdline: &str,
) -> String {
    let mut places: Vec<_> = snapshots
        .iter()
        .enumerate()
        .take(NOTED)
        .map(|(cpu, snapshot)| match snapshot {
            Some(snapshot) => format!("processor {cpu} at {}", names.place(snapshot)),
            None => format!("processor {cpu} held up outside of the guest"),
        })
        .collect();
    if let Some(more) = snapshots.len().checked_sub(NOTED).filter(|more| *more > 0) {
        places.push(format!("{more} more"));
    }
    let all = exits.iter().fold(ExitCounts::default(), |sum, exits| sum.and(&exits.own));
    let consoles: Vec<_> =
        cmdline.split_whitespace().filter(|word| word.starts_with("console=")).collect();
    let console = match consoles[..] {
        [] => "no console= is given, so that a Linux kernel shows nothing".to_owned(),
        _ => format!("{} is given", consoles.join(" ")),
    };
    let (time, reasons) = (seconds(*time), reasons(&all));
    format!("{}; exits in the last {time}: {reasons}; {console}", places.join(", "))
}

/// The last lines that a console showed, and a line that says what they are.
pub(in crate::machine) fn console_lines(tail: &[u8]) -> Vec<String> {
    let text = plain(tail);
    let shown: Vec<_> = text.lines().map(str::trim_end).collect();
    let first = shown.len().saturating_sub(LINES);
    let shown = &shown[first..];
    if shown.is_empty() {
        return vec!["the console has shown nothing".into()];
    }
    let cut = |line: &&str| format!("  | {}", line.chars().take(WIDTH).collect::<String>());
    let title = match shown.len() {
        1 => "the last line of the console:".to_owned(),
        count => format!("the last {count} lines of the console:"),
    };
    std::iter::once(title).chain(shown.iter().map(cut)).collect()
}

fn registers(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let (r, s) = (&snapshot.regs, &snapshot.sregs);
    let rows = [
        [("RAX", r.rax), ("RBX", r.rbx), ("RCX", r.rcx), ("RDX", r.rdx)],
        [("RSI", r.rsi), ("RDI", r.rdi), ("RBP", r.rbp), ("RSP", r.rsp)],
        [("R8 ", r.r8), ("R9 ", r.r9), ("R10", r.r10), ("R11", r.r11)],
        [("R12", r.r12), ("R13", r.r13), ("R14", r.r14), ("R15", r.r15)],
        [("CR0", s.cr0), ("CR2", s.cr2), ("CR3", s.cr3), ("CR4", s.cr4)],
    ];
    let last = format!("FLAGS {:08x}  CS {:04x}  EFER {:x}", r.rflags, s.cs.selector, s.efer);
    let rows = rows.into_iter().map(|row| {
        let row: Vec<_> =
            row.into_iter().map(|(name, value)| format!("{name} {value:016x}")).collect();
        row.join("  ")
    });
    rows.chain(std::iter::once(last))
}

fn reasons(counts: &ExitCounts) -> String {
    listed(counts.by_kind().map(|(kind, count)| (kind.name(), count)))
}

/// Those that are not zero.
fn listed(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let some = counts.filter(|(_, count)| *count > 0);
    let words: Vec<_> = some.map(|(name, count)| format!("{count} {name}")).collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
