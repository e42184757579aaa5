use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::super::facts::ConsoleFacts;
use super::super::watch::Watch;

fn watched(output: &[u8]) -> (Watch, usize) {
    let mut watch = Watch::default();
    let ends = output.iter().filter(|b| watch.push(**b)).count();
    (watch, ends)
}

fn facts(output: &str) -> ConsoleFacts {
    watched(output.as_bytes()).0.facts()
}

#[test]
fn a_panic_is_remembered_by_its_first_line() {
    let facts = facts(
        "[    0.390806] No filesystem could mount root, tried: \r\n\
         [    0.391489] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n\
         [    0.39] CPU: 0 PID: 1 Comm: swapper/0\r\n\
         [    0.40] Kernel panic - not syncing: again\r\n",
    );
    assert_eq!(
        facts.panic.as_deref(),
        Some("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)")
    );
    assert!(facts.any_output && !facts.panic_ended && !facts.restarting);
}

#[test]
fn two_consoles_know_together_what_either_knows() {
    let panic = facts("Kernel panic - not syncing: x\n---[ end Kernel panic\n");
    let down = facts("reboot: Restarting system\nreboot: Power down\nreboot: System halted\n");
    let both = panic.clone().and(down.clone());
    assert_eq!(both, down.and(panic));
    assert_eq!(both.panic.as_deref(), Some("Kernel panic - not syncing: x"));
    assert!(both.any_output && both.panic_ended && both.restarting);
    assert!(both.powering_down && both.halted);
    assert_eq!(both.clone().and(ConsoleFacts::default()), both);
}

#[test]
fn the_end_of_a_panic_is_signalled_once_when_its_line_ends() {
    let end = b"[ 1.2] ---[ end Kernel panic - not syncing: no init ]---";
    let (mut watch, ends) = watched(end);
    assert_eq!(ends, 0);
    assert!(watch.facts().panic_ended, "known before the line ends");
    assert!(watch.push(b'\n'));
    assert!(!watch.push(b'\n'));
    // Linux 4.x does not close the bracket.
    assert!(facts("---[ end Kernel panic - not syncing: x\n").panic_ended);
}

#[test]
fn every_announcement_is_seen_behind_every_prefix() {
    let prefixes = [
        "",
        "[    1.234567] ",
        "[ 1234.567890][    T1] ",
        "[    1.234567] [C0] ",
        "<0>[    1.234567] ",
        "\x1b[0;31m",
        "\x1b[1m[    0.1] \x1b[0m",
        "login: \r",
        "earlier line\n",
    ];
    for prefix in prefixes {
        let said = |text: &str| facts(&format!("{prefix}{text}\r\n"));
        assert!(said("Kernel panic - not syncing: x").panic.is_some(), "{prefix:?}");
        assert!(said("---[ end Kernel panic - not syncing: x ]---").panic_ended, "{prefix:?}");
        assert!(said("reboot: Restarting system").restarting, "{prefix:?}");
        assert!(said("reboot: Restarting system with command 'x'").restarting, "{prefix:?}");
        assert!(said("reboot: machine restart").restarting, "{prefix:?}");
        assert!(said("reboot: Power down").powering_down, "{prefix:?}");
        assert!(said("reboot: System halted").halted, "{prefix:?}");
    }
}

#[test]
fn a_command_that_mentions_an_announcement_is_not_one() {
    for line in [
        "# echo Kernel panic - not syncing",
        "grep 'reboot: Restarting system' log",
        "log: reboot: Power down",
        "[init] reboot: System halted",
        "[] reboot: System halted",
        "systemd[1]: ---[ end Kernel panic",
        "reboot: restarting system",
    ] {
        let mut facts = facts(&format!("{line}\n"));
        assert!(facts.init_started.take().is_some(), "a process has said that: {line}");
        assert_eq!(facts, ConsoleFacts { any_output: true, ..ConsoleFacts::default() }, "{line}");
    }
}

#[test]
fn the_tail_is_the_latest_output() {
    let output: Vec<u8> = (0..10_000u32).map(|i| i.to_le_bytes()[0]).collect();
    assert_eq!(watched(&output).0.tail(), output[10_000 - 4096..]);
    assert_eq!(watched(b"short").0.tail(), b"short");
}

#[test]
fn oopses_and_warnings_are_counted_in_all_their_forms() {
    let oopses = [
        "[    1.2] Oops: 0002 [#1] SMP NOPTI",
        "[    1.2] Oops: invalid opcode: 0000 [#2] PREEMPT SMP",
        "[    1.2] invalid opcode: 0000 [#1] SMP",
        "[    1.2] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
        "Oops: Oops: 0000 [#13] SMP",
    ];
    for line in oopses {
        let facts = facts(&format!("{line}\n"));
        assert_eq!((facts.oopses, facts.warnings), (1, 0), "{line}");
        assert!(line.ends_with(facts.complaint.as_deref().unwrap()), "{line}");
    }
    let warnings = [
        "[    1.2] WARNING: CPU: 0 PID: 1 at kernel/x.c:12 f+0x1/0x2",
        "[    1.2][    T1] WARNING: kernel/x.c:12 at f+0x1/0x2, CPU#0: init/1",
        "[    1.2] WARNING: possible circular locking dependency detected",
        "[    1.2] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2",
        "[    1.2] BUG: sleeping function called from invalid context at x.c:1",
        "[    1.2] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]",
        "[    1.2] INFO: task init:1 blocked for more than 120 seconds.",
        "[    1.2] rcu: INFO: rcu_sched self-detected stall on CPU",
        "WARNING: CPU: 0 PID: 1 at kernel/x.c:12 f+0x1/0x2",
        "UBSAN: shift-out-of-bounds in x.c:1:2",
    ];
    for line in warnings {
        let facts = facts(&format!("{line}\r\n"));
        assert_eq!((facts.oopses, facts.warnings), (0, 1), "{line}");
    }
    let neither = [
        "[    1.2] BUG: kernel NULL pointer dereference, address: 0",
        "[    1.2] BUG: unable to handle page fault for address: ffff",
        "[    1.2] Spectre V2 : WARNING: Unprivileged eBPF is enabled",
        "WARNING: apt does not have a stable CLI interface",
        "Oops: that went wrong [#1]",
        "[#1]",
    ];
    for line in neither {
        let facts = facts(&format!("{line}\n"));
        assert_eq!((facts.oopses, facts.warnings, &facts.complaint), (0, 0, &None), "{line}");
    }
}

#[test]
fn two_consoles_show_one_oops() {
    let one = || facts("[ 1.2] Oops: 0002 [#1] SMP\n");
    assert_eq!(one().and(one()).oopses, 1);
}

#[test]
fn the_start_of_init_shows_as_the_kernel_or_the_process_says_so() {
    let started = |output: &str| facts(output).init_started.is_some();
    let kernel = "[    0.000000] Linux version 6.12.1\r\n[    0.1] ACPI: x\r\n";
    assert!(!started(kernel));
    assert!(started(&format!("{kernel}[    0.9] Run /init as init process\r\n")));
    assert!(started(&format!("{kernel}hello from init\r\n")));
    assert!(started("login: "), "a line that has not ended");
    // What a bzImage says before it is a kernel.
    assert!(!started(
        "early console in extract_kernel\r\n\r\nDecompressing Linux... Parsing ELF\r\n"
    ));
    // Without time stamps only the kernel's own words tell.
    let plain = "Linux version 6.12.1\r\nACPI: x\r\n";
    assert!(!started(plain));
    assert!(started(&format!("{plain}Run /sbin/init as init process\r\n")));
    assert!(!started(&format!("{plain}Run away as init processes\r\n")));
}

/// The lines that a test sees of `output`, pushed in one.
fn tested(output: &[u8]) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&seen);
    let mut watch = Watch::default();
    watch.test_lines(Box::new(move |line| {
        theirs.lock().unwrap().push(line.to_owned());
        line.ends_with('!')
    }));
    let mut news = 0;
    for byte in output {
        news += usize::from(watch.push(*byte));
    }
    let seen = seen.lock().unwrap().clone();
    assert_eq!(news, seen.iter().filter(|line| line.ends_with('!')).count());
    seen
}

#[test]
fn a_test_sees_each_line_whole_and_without_escape_sequences() {
    assert_eq!(tested(b"one\r\ntwo!\n\nlast\rover\n"), ["one", "two!", "", "last", "over"]);
    let coloured = b"\x1b[1;31mred\x1b[0m\x1b]0;title\x07 and\x1b(B plain\x1b]2;x\x1b\\!\n";
    assert_eq!(tested(coloured), ["red and plain!"]);
    assert_eq!(tested(b"\xff\xfe\n"), ["\u{fffd}\u{fffd}"]);
    assert!(tested(b"not ended").is_empty());
}

#[test]
fn a_sequence_without_an_end_hides_no_later_line() {
    assert_eq!(tested(b"a\x1b]0;b\nc\x1b[12\nd\x1b\ne!\n"), ["a", "c", "d", "e!"]);
}

#[test]
fn a_test_sees_four_kib_of_a_line() {
    let mut output = vec![b'x'; 100_000];
    output.push(b'\n');
    assert_eq!(tested(&output)[0].len(), 4096);
}

#[test]
fn an_open_line_is_tested_when_asked() {
    let mut watch = Watch::default();
    watch.test_lines(Box::new(|line| line == "login: "));
    for byte in b"login: " {
        assert!(!watch.push(*byte));
    }
    assert!(watch.test_line());
    assert_eq!(watch.total(), 7);
}

proptest! {
    #[test]
    fn any_bytes_give_lines_without_escape_characters(
        output in proptest::collection::vec(any::<u8>(), 0..2000)
    ) {
        let lines = tested(&output);
        prop_assert!(lines.iter().all(|line| !line.contains('\x1b') && line.len() <= 3 * 4096));
    }

    #[test]
    fn what_comes_before_a_line_break_does_not_hide_an_announcement(
        before in proptest::collection::vec(any::<u8>(), 0..600)
    ) {
        let mut output = before;
        output.extend_from_slice(b"\n[    9.1] reboot: Power down\n");
        prop_assert!(watched(&output).0.facts().powering_down);
    }
}
