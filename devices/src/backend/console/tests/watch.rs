use proptest::prelude::*;

use super::super::watch::{ConsoleFacts, Watch};

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
        let facts = facts(&format!("{line}\n"));
        assert_eq!(facts, ConsoleFacts { any_output: true, ..ConsoleFacts::default() }, "{line}");
    }
}

#[test]
fn the_tail_is_the_latest_output() {
    let output: Vec<u8> = (0..10_000u32).map(|i| i.to_le_bytes()[0]).collect();
    assert_eq!(watched(&output).0.tail(), output[10_000 - 4096..]);
    assert_eq!(watched(b"short").0.tail(), b"short");
}

proptest! {
    #[test]
    fn what_comes_before_a_line_break_does_not_hide_an_announcement(
        before in proptest::collection::vec(any::<u8>(), 0..600)
    ) {
        let mut output = before;
        output.extend_from_slice(b"\n[    9.1] reboot: Power down\n");
        prop_assert!(watched(&output).0.facts().powering_down);
    }
}
