//! How a run ends, and what its status and its last line say.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use testing::{Form, Guest, Outcome, Signal, pattern, run_with};

use crate::{POWERED_OFF, RESTARTED};

#[test]
fn every_way_to_reset_or_power_off_ends_the_run() {
    for (ending, line) in [
        ("end:i8042", RESTARTED),
        ("end:cf9", RESTARTED),
        ("end:acpi-reset", RESTARTED),
        ("end:poweroff", POWERED_OFF),
        ("end:halt", "kiln: the guest halted for good"),
    ] {
        let outcome = Guest::tiny(&["say:hi", ending]).run();
        outcome.expect(0, line);
        assert_eq!(outcome.text(), "hi\n");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    }
}

#[test]
fn every_form_can_end() {
    for form in Form::ALL {
        Guest::tiny_as(form, &["end:acpi-reset"]).run().expect(0, RESTARTED);
        Guest::tiny_as(form, &["end:halt"]).run().expect(0, "kiln: the guest halted for good");
    }
}

#[test]
fn the_guests_own_status_comes_back() {
    for value in [0, 1, 22, 124, 255] {
        let outcome = Guest::tiny(&[&format!("exit:{value}")]).run();
        outcome.expect(value, &format!("kiln: the guest ended with status {value}"));
    }
}

#[test]
fn a_death_without_a_word_names_the_place() {
    for (ending, cause) in [("end:triple", "triple fault"), ("end:badop", "cannot emulate")] {
        let outcome = Guest::tiny(&["say:hi", ending]).run();
        assert_eq!(outcome.status, 127, "{outcome}");
        assert_eq!(outcome.text(), "hi\n");
        let line = &outcome.stderr;
        assert!(line.starts_with("kiln: the guest died without a word"), "{outcome}");
        assert!(line.contains(cause) && line.contains("processor 0"), "{outcome}");
        assert!(line.contains("RIP"), "{outcome}");
    }
    let outcome = Guest::tiny(&["end:badop"]).run();
    assert!(outcome.stderr.contains("0xd8000000"), "the RIP is where it went: {outcome}");
}

#[test]
fn a_triple_fault_after_an_announced_restart_is_a_restart() {
    let outcome = Guest::tiny(&["say:reboot:_Restarting_system", "end:triple"]).run();
    outcome.expect(0, RESTARTED);
}

#[test]
fn a_panic_on_the_console_decides_the_status() {
    let words = "say:[____1.234567]_Kernel_panic_-_not_syncing:_Attempted_to_kill_init!";
    let line = "kiln: the guest kernel died: Kernel panic - not syncing: Attempted to kill init!";
    for ending in ["end:i8042", "end:triple", "end:poweroff", "end:halt"] {
        Guest::tiny(&[words, ending]).run().expect(126, line);
    }
    // A kernel that stays has said its last word with the end of the panic.
    let last =
        "say:[____1.234568]_---[_end_Kernel_panic_-_not_syncing:_Attempted_to_kill_init!_]---";
    Guest::tiny(&[words, last, "end:spin"]).run().expect(126, line);
}

#[test]
fn words_about_a_panic_are_no_panic() {
    let outcome = Guest::tiny(&["say:#_echo_Kernel_panic_-_not_syncing:_no", "end:i8042"]).run();
    outcome.expect(0, RESTARTED);
}

#[test]
fn a_timeout_ends_any_state() {
    for ending in ["end:spin", "end:stihlt"] {
        let guest = |limit| Guest::tiny(&["say:hi", ending]).arg("--timeout").arg(limit);
        let has_spoken = |outcome: &Outcome| outcome.text() == "hi\n";
        let (limit, outcome) =
            run_with(&["1s", "15s", "2m"], |limit| guest(limit).run(), has_spoken);
        outcome.expect(124, &format!("kiln: the run timed out after {limit}"));
        assert_eq!(outcome.text(), "hi\n");
    }
}

#[test]
fn signals_end_every_state() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let line = format!("kiln: the run was ended by {signal}");
        for ending in ["end:spin", "end:stihlt", "echo"] {
            let mut guest = Guest::tiny(&["say:up", ending]).spawn();
            guest.wait_for("up\n").signal(signal);
            guest.wait().expect(128 + signal as i32, &line);
        }
    }
}

/// Before Kiln has taken charge of signals, they do what they do to any
/// process; after, it says so. Never does it hang or end with another status.
#[test]
fn a_signal_during_start_up_ends_it() {
    let (mut early, mut late) = (0, 0);
    for turn in 0..60_u32 {
        let guest = Guest::tiny(&["end:spin"]).cpus(1 + turn % 4).memory("64M");
        let mut guest = guest.spawn();
        // Not a wait for anything: it makes each turn strike elsewhere.
        for _ in 0..turn * 20_000 {
            std::hint::spin_loop();
        }
        guest.signal(Signal::SIGTERM);
        let outcome = guest.wait();
        match outcome.status {
            143 => late += 1,
            1015 => early += 1,
            _ => panic!("{outcome}"),
        }
    }
    println!("{early} before it took charge of signals, {late} after");
}

#[test]
fn sixty_four_kib_and_an_instant_reset_lose_nothing() {
    const SIZE: usize = 64 << 10;
    const TURNS: u32 = 60;
    let expected = pattern(SIZE);
    let turn = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while turn.fetch_add(1, Ordering::Relaxed) < TURNS {
                    let outcome = Guest::tiny(&["flood:65536", "end:i8042"]).run();
                    outcome.expect(0, RESTARTED);
                    assert!(outcome.stdout == expected, "{} bytes", outcome.stdout.len());
                }
            });
        }
    });
}
