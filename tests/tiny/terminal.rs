//! The console on a terminal, and how the terminal is left.

use std::fs;
use std::thread;
use std::time::Instant;

use testing::{Guest, Outcome, PATIENCE, Signal, Terminal};

use crate::{POWERED_OFF, RESTARTED};

/// Runs `guest` on a terminal, which must be left as it was.
fn on_terminal(guest: Guest) -> Outcome {
    let terminal = Terminal::new();
    let before = terminal.settings();
    let outcome = guest.terminal(terminal.same()).run();
    assert!(terminal.settings() == before, "the terminal's settings have changed\n{outcome}");
    outcome
}

#[test]
fn a_terminal_is_as_before_after_every_ending() {
    let panic = "say:Kernel_panic_-_not_syncing:_x";
    for (words, status) in [
        (&["end:poweroff"][..], 0),
        (&["end:i8042"], 0),
        (&["end:halt"], 0),
        (&["exit:9"], 9),
        (&["end:triple"], 127),
        (&["end:badop"], 127),
        (&[panic, "end:i8042"], 126),
    ] {
        let outcome = on_terminal(Guest::tiny(words));
        assert_eq!(outcome.status, status, "{words:?}\n{outcome}");
    }
    let outcome = on_terminal(Guest::tiny(&["end:spin"]).arg("--timeout").arg("1s"));
    assert_eq!(outcome.status, 124, "{outcome}");
}

#[test]
fn a_terminal_is_as_before_after_every_start_up_error() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let ragged = folder.path().join("ragged");
    fs::write(&ragged, "three").unwrap();
    let guest = || Guest::tiny(&["end:poweroff"]);
    for (guest, status) in [
        (guest().initrd(&nowhere), 125),
        (guest().disk(&nowhere, ""), 125),
        (guest().disk(&ragged, ""), 125),
        (guest().arg("--console").arg(format!("file={}/x", nowhere.display())), 125),
        (guest().arg("--log-file").arg(nowhere.join("x")), 125),
        (guest().append(&"x=y ".repeat(20000)), 125),
        (guest().cpus(0), 2),
        (guest().memory("10T"), 125),
        (guest().arg("--nonsense"), 2),
        (Guest::with_kernel(&nowhere), 125),
        (Guest::with_kernel(&ragged), 125),
    ] {
        let outcome = on_terminal(guest);
        assert!([status, 2].contains(&outcome.status), "{status}\n{outcome}");
    }
}

#[test]
fn a_terminal_is_raw_for_the_guest_and_as_before_after_a_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        let mut guest = Guest::tiny(&["say:up", "end:spin"]).terminal(terminal.same()).spawn();
        guest.wait_for("up");
        assert!(terminal.settings() != before, "the terminal is not raw");
        guest.signal(signal);
        let outcome = guest.wait();
        assert_eq!(outcome.status, 128 + signal as i32, "{outcome}");
        assert!(terminal.settings() == before, "{signal} has left the terminal changed");
    }
}

#[test]
fn a_hang_up_ends_no_run_whose_terminal_is_there() {
    let mut guest = Guest::tiny(&["echo", "end:i8042"]).terminal(Terminal::new()).spawn();
    guest.wait_for("echo").signal(Signal::SIGHUP);
    guest.write("still here").wait_for("still here").write("\rq");
    guest.wait().expect(0, RESTARTED);
}

#[test]
fn a_terminal_is_untouched_where_the_console_is_not_on_it() {
    for console in ["off", "file=/dev/null"] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        fs::write(&disk, vec![0; 4096]).unwrap();
        let written = testing::wait_for_write(&disk);
        let guest = Guest::tiny(&["blk", "end:spin"]).disk(&disk, "").arg("--console").arg(console);
        let mut guest = guest.terminal(terminal.same()).spawn();
        written();
        assert!(terminal.settings() == before, "--console {console}");
        guest.signal(Signal::SIGTERM);
        assert_eq!(guest.wait().status, 143);
        assert!(terminal.settings() == before, "--console {console}");
    }
}

#[test]
fn the_escape_key_ends_the_run_and_is_told_at_the_start() {
    let terminal = Terminal::new();
    let before = terminal.settings();
    let mut guest = Guest::tiny(&["echo", "end:i8042"]).terminal(terminal.same()).spawn();
    guest.wait_for_stderr("Ctrl-A X");
    guest.wait_for("echo").write("abc").wait_for("abc");
    guest.write("\x01x");
    let outcome = guest.wait();
    outcome.expect(130, "kiln: the run was ended from the terminal");
    assert_eq!(outcome.stderr.matches("Ctrl-A").count(), 1, "{outcome}");
    assert!(terminal.settings() == before);
}

#[test]
fn other_keys_reach_the_guest() {
    let mut guest = Guest::tiny(&["echo", "end:i8042"]).terminal(Terminal::new()).spawn();
    // Ctrl-C, Ctrl-Z, Ctrl-\, Ctrl-S, Ctrl-Q, Ctrl-D, CR, LF; Ctrl-A twice is one.
    guest.wait_for("echo").write("\x03\x1a\x1c\x13\x11\x04\x16\r\n\x01\x01.");
    // And come back as they are: nothing is made of a line feed.
    guest.wait_for("\x03\x1a\x1c\x13\x11\x04\x16\r\n\x01.");
    guest.write("\rq");
    guest.wait().expect(0, RESTARTED);
}

#[test]
fn a_line_of_kilns_own_begins_at_the_left_of_a_raw_terminal() {
    let (folder, terminal) = (tempfile::tempdir().unwrap(), Terminal::new());
    let disk = folder.path().join("disk");
    fs::write(&disk, vec![0; 4096]).unwrap();
    let guest = Guest::tiny(&["echo", "end:poweroff"]).disk(&disk, "").arg("-v");
    let mut guest = guest.stderr(terminal.slave()).terminal(terminal).spawn();
    guest.wait_for("echo").signal(Signal::SIGHUP);
    guest.wait_for("is as large as it was\r\n").write("\rq");
    assert_eq!(guest.wait().status, 0);
}

#[test]
fn ctrl_c_ends_a_scripted_run() {
    // Stdin is no terminal, so nobody has made it raw: the key is a signal.
    let terminal = Terminal::new();
    let guest = Guest::tiny(&["say:up", "end:spin"]).terminal(terminal.same());
    let mut guest = guest.redirect("</dev/null").spawn();
    guest.wait_for("up").write("\x03");
    guest.wait().expect(130, "kiln: the run was ended by SIGINT");
}

/// Waits for what has no event to wait for.
#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came that {what}");
        thread::yield_now();
    }
}

/// Whether the process is stopped, as `ps` shows it.
fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('T')
}

#[test]
fn job_control_gets_the_terminal_back_and_the_guest_it_again() {
    let terminal = Terminal::new();
    let before = terminal.settings();
    let mut guest = Guest::tiny(&["echo", "end:poweroff"]).terminal(terminal.same()).spawn();
    guest.wait_for("echo");
    let raw = terminal.settings();
    guest.signal(Signal::SIGTSTP);
    wait_until("it is stopped", || is_stopped(guest.pid()));
    assert!(terminal.settings() == before, "a stopped guest keeps the terminal raw");
    guest.signal(Signal::SIGCONT);
    wait_until("the terminal is raw again", || terminal.settings() == raw);
    guest.write("again").wait_for("again").write("\rq");
    guest.wait().expect(0, POWERED_OFF);
    assert!(terminal.settings() == before);
}

#[test]
fn a_terminal_is_as_before_after_an_internal_error() {
    for thread in ["main", "vcpu0"] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        let guest = Guest::tiny(&["say:up", "end:spin"]).env("KILN_TEST_PANIC", thread);
        let outcome = guest.terminal(terminal.same()).run();
        assert_eq!(outcome.status, 125, "{thread}\n{outcome}");
        assert!(
            outcome.stderr.contains(&format!("internal error in thread {thread}")),
            "{outcome}"
        );
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        assert!(terminal.settings() == before, "a panic of {thread} changes the terminal");
    }
}
