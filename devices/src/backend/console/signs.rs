//! What the lines that Linux prints on its console mean. The texts are those
//! of Linux 4.x to 6.x.

/// What a guest kernel says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// `kernel/panic.c`.
    Panic,
    /// All about the panic is said, and the kernel stays.
    PanicEnd,
    /// `kernel/reboot.c`, `arch/x86/kernel/reboot.c`.
    Restart,
    PowerDown,
    Halt,
    /// `arch/x86/kernel/dumpstack.c`: the head of an oops.
    Oops,
    /// A `WARN`, or what a checker of the kernel has found.
    Warning,
    /// `init/main.c`: the first process starts.
    Init,
    /// The kernel's first line, without a time stamp: none has one.
    NoStamps,
    /// Said by no kernel.
    Process,
}

const STARTS: [(&[u8], Sign); 6] = [
    (b"Kernel panic - not syncing", Sign::Panic),
    (b"---[ end Kernel panic", Sign::PanicEnd),
    (b"reboot: Restarting system", Sign::Restart),
    (b"reboot: machine restart", Sign::Restart),
    (b"reboot: Power down", Sign::PowerDown),
    (b"reboot: System halted", Sign::Halt),
];

/// The kernel's own findings, told only behind a time stamp from a program's
/// words of the same kind.
const WARNINGS: [&[u8]; 6] =
    [b"WARNING: ", b"BUG: ", b"UBSAN: ", b"watchdog: BUG: ", b"INFO: task ", b"rcu: INFO: "];
/// These begin like warnings, and an oops follows.
const BEFORE_AN_OOPS: [&[u8]; 3] =
    [b"BUG: kernel NULL pointer", b"BUG: unable to handle", b"BUG: stack guard page"];
/// The same without stamps: only what is unmistakable.
const PLAIN_WARNINGS: [&[u8]; 4] =
    [b"WARNING: CPU: ", b"BUG: KASAN: ", b"watchdog: BUG: soft lockup", b"UBSAN: "];

/// How the lines of a bzImage begin that it prints while it unpacks itself,
/// before it is a kernel with time stamps (`arch/x86/boot/compressed`).
const UNPACKING: [&[u8]; 12] = [
    b"early console in ",
    b"Probing EDD",
    b"input_data: ",
    b"input_len: ",
    b"output: ",
    b"output_len: ",
    b"kernel_total_size: ",
    b"needed_size: ",
    b"trampoline_32bit: ",
    b"Physical KASLR ",
    b"Virtual KASLR ",
    b"KASLR disabled",
];
const UNPACKED: [&[u8]; 4] =
    [b"Decompressing Linux", b"Parsing ELF", b"No relocation needed", b"booted via "];

/// What a line means, without its end and without escape sequences; also how
/// it reads without what printk puts before a message.
///
/// Only the beginning of a message counts, so that a command that mentions
/// one of the texts is not taken for the kernel.
pub(super) fn read(line: &[u8]) -> (Option<Sign>, &[u8]) {
    let (text, stamped) = message(line);
    (sign(text, stamped), text)
}

fn sign(text: &[u8], stamped: bool) -> Option<Sign> {
    let begins = |starts: &[&[u8]]| starts.iter().any(|start| text.starts_with(start));
    if let Some((_, sign)) = STARTS.iter().find(|(start, _)| text.starts_with(start)) {
        return Some(*sign);
    }
    if text.is_empty() {
        return None;
    }
    if is_oops(text) {
        return Some(Sign::Oops);
    }
    if text.starts_with(b"Run ") && text.trim_ascii_end().ends_with(b" as init process") {
        return Some(Sign::Init);
    }
    if stamped {
        return (begins(&WARNINGS) && !begins(&BEFORE_AN_OOPS)).then_some(Sign::Warning);
    }
    if begins(&PLAIN_WARNINGS) {
        return Some(Sign::Warning);
    }
    if text.starts_with(b"Linux version ") {
        return Some(Sign::NoStamps);
    }
    (!begins(&UNPACKING) && !begins(&UNPACKED)).then_some(Sign::Process)
}

/// `Oops: 0002 [#1] SMP`, and in older kernels `invalid opcode: 0000 [#1]`:
/// an error code of four digits and the number of the oops.
fn is_oops(text: &[u8]) -> bool {
    let Some(at) = text.windows(3).position(|piece| piece == b" [#") else { return false };
    let (head, number) = (&text[..at], &text[at + 3..]);
    let Some((rest, code)) = head.split_last_chunk::<4>() else { return false };
    rest.ends_with(b": ")
        && code.iter().all(u8::is_ascii_hexdigit)
        && number.first().is_some_and(u8::is_ascii_digit)
}

/// `line` without what printk puts before a message, levels (`<0>`), time
/// stamps and callers (`[    1.234567]`, `[    T1]`); and whether there was
/// anything of that.
fn message(mut line: &[u8]) -> (&[u8], bool) {
    let mut stamped = false;
    loop {
        line = match line {
            [b' ' | b'\t', rest @ ..] => rest,
            [b'<', rest @ ..] => match bracketed(rest, b'>', |b| b.is_ascii_digit()) {
                Some(rest) => rest,
                None => return (line, stamped),
            },
            [b'[', rest @ ..] => {
                let inside = |b| matches!(b, b' ' | b'.' | b'C' | b'T' | b'0'..=b'9');
                let Some(rest) = bracketed(rest, b']', inside) else { return (line, stamped) };
                stamped = true;
                rest
            }
            _ => return (line, stamped),
        }
    }
}

/// What follows `close`, if only bytes that `inside` allows come before it.
fn bracketed(rest: &[u8], close: u8, inside: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let end = rest.iter().position(|b| *b == close)?;
    let (within, after) = rest.split_at(end);
    (!within.is_empty() && within.iter().all(|b| inside(*b))).then(|| &after[1..])
}
