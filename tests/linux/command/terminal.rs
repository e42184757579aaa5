//! A command on a terminal.

use testing::{Guest, Terminal, kernel, patiently};

use super::script;
use crate::MINIMAL;

#[test]
fn a_command_on_a_terminal_has_one_of_the_same_size() {
    patiently(|| {
        let terminal = Terminal::new();
        let (same, before) = (terminal.same(), terminal.settings());
        let text = "stty size; tty; echo errors >&2; read line; echo \"got $line\"; exit 6";
        let mut running = script(text).terminal(terminal).spawn();
        running.wait_for("24 80\r\n").wait_for("/dev/pts/0\r\n");
        running.write("words\r").wait_for("got words\r\n");
        let outcome = running.wait();
        assert_eq!(outcome.status, 6, "{outcome}");
        assert_eq!(same.settings(), before, "the terminal is as it was");
        // Standard error was no terminal, and went its own way.
        assert_eq!(outcome.stderr, "errors\n");
    });
}

#[test]
fn a_command_is_told_when_its_terminal_changes_its_size() {
    patiently(|| {
        let terminal = Terminal::new();
        let same = terminal.same();
        let text = "trap 'stty size' WINCH; stty size; while :; do sleep 1; done";
        let mut running = script(text).terminal(terminal).spawn();
        running.wait_for("24 80\r\n");
        same.resize(40, 132);
        running.wait_for("40 132\r\n");
        // Not only once.
        same.resize(7, 300);
        running.wait_for("7 300\r\n").write(b"\x01x");
        assert_eq!(running.wait().status, 130);
    });
}

#[test]
fn keys_are_signals_in_the_guest_and_the_escape_key_ends_the_run() {
    patiently(|| {
        let text = "trap 'echo caught' INT; echo up; while :; do sleep 1; done";
        let mut running = script(text).terminal(Terminal::new()).spawn();
        running.wait_for("up").write(b"\x03").wait_for("caught").write(b"\x01x");
        let outcome = running.wait();
        outcome.expect(130, "kiln: the run was ended from the terminal");
    });
}

#[test]
fn a_shell_is_the_users_own() {
    patiently(|| {
        let guest = Guest::with_kernel(&kernel(MINIMAL)).arg("--shell").env("SHELL", "/bin/sh");
        let mut running = guest.terminal(Terminal::new()).spawn();
        running.write("echo $((6 * 7))\r").wait_for("\n42\r\n").write("exit 9\r");
        assert_eq!(running.wait().status, 9);
    });
}
