//! A person, or a script, at a Linux guest's console.

use testing::{Guest, Running, Terminal, kernel, patiently};

use crate::{MINIMAL, POWERED_OFF};

/// A shell with job control on the console.
const SHELL: &str = "exec setsid cttyhack sh";

fn shell() -> Guest {
    Guest::linux(&kernel(MINIMAL), SHELL).append("quiet")
}

#[test]
fn a_shell_on_a_terminal_takes_commands_and_ctrl_c() {
    patiently(|| obeys_a_person(shell(), |_, _| ()));
}

/// What a person at a terminal gets of `shell`, a guest with one on its
/// console; `more` is done in between, at its prompt.
pub(crate) fn obeys_a_person(shell: Guest, more: impl FnOnce(&mut Running, &Terminal)) {
    let terminal = Terminal::new();
    let before = terminal.settings();
    let mut guest = shell.cpus(2).terminal(terminal.same()).spawn();
    // A prompt; what is typed is echoed, so only results are waited for.
    guest.wait_for("# ").write("echo a$((1+1))b\r").wait_for("a2b");
    // The job itself says that it runs: before, the key would be the shell's.
    guest.write("sh -c 'echo started$((1+2)); exec sleep 100000'\r").wait_for("started3");
    guest.write("\x03").wait_for("# ");
    guest.write("echo status$?\r").wait_for("status130");
    more(&mut guest, &terminal);
    // Ctrl-D is the guest's, too. Again the job says that it runs: the shell edits its lines with
    // the terminal raw, and what is typed by then would be a character like any other.
    guest.write("sh -c 'echo reading$((1+2)); exec cat'\r").wait_for("reading3");
    guest.write("typed\r").wait_for("typed\r\ntyped\r\n");
    guest.write("\x04").write("echo after$((2+2))\r").wait_for("after4");
    guest.write("poweroff -f\r");
    guest.wait().expect(0, POWERED_OFF);
    assert!(terminal.settings() == before, "the terminal's settings have changed");
}

#[test]
fn the_escape_key_leaves_a_shell() {
    patiently(|| leaves_by_the_escape_key(shell()));
}

/// What the escape key does to `shell`, a guest with one on its console.
pub(crate) fn leaves_by_the_escape_key(shell: Guest) {
    let terminal = Terminal::new();
    let before = terminal.settings();
    let mut guest = shell.terminal(terminal.same()).spawn();
    guest.wait_for("# ").write("\x01x");
    guest.wait().expect(130, "kiln: the run was ended from the terminal");
    assert!(terminal.settings() == before, "the terminal's settings have changed");
}

#[test]
fn piped_commands_reach_the_shell_even_before_it_is_there() {
    patiently(|| gets_piped_commands(shell()));
}

/// What comes of commands that wait for `shell`, a guest with one on its console.
pub(crate) fn gets_piped_commands(shell: Guest) {
    let mut guest = shell.stdin_pipe().spawn();
    // All at once, when not even the kernel is up.
    guest.write("echo first$((10+1))\necho second$((10+2))\npoweroff -f\n").close_stdin();
    let outcome = guest.wait();
    outcome.expect(0, POWERED_OFF);
    let text = outcome.text();
    let first = text.find("first11").unwrap_or_else(|| panic!("{outcome}"));
    let second = text.find("second12").unwrap_or_else(|| panic!("{outcome}"));
    assert!(first < second);
}

#[test]
fn a_long_paste_arrives_whole() {
    patiently(|| {
        gets_a_long_paste(|script| Guest::linux(&kernel(MINIMAL), script).append("quiet"));
    });
}

/// What comes of a paste for a guest made of this script.
pub(crate) fn gets_a_long_paste(guest: impl FnOnce(&str) -> Guest) {
    // Longer than the port's and the terminal's buffers, each line by itself.
    let lines: Vec<_> = (0..400).map(|n| format!("line {n} {}", "x".repeat(40))).collect();
    let script = "stty -echo; echo ready; n=0; while read line; do
        [ \"$line\" = end ] && break
        n=$((n+1)); echo \"$line\" >>/tmp/got
    done; echo count=$n; cat /tmp/got; poweroff -f";
    let mut guest = guest(script).stdin_pipe().spawn();
    guest.wait_for("ready");
    for chunk in lines.chunks(20) {
        guest.write(chunk.join("\n")).write("\n");
    }
    guest.write("end\n");
    let outcome = guest.wait();
    outcome.expect(0, POWERED_OFF);
    let text = outcome.text().replace('\r', "");
    assert!(text.contains("count=400\n"), "{outcome}");
    assert!(text.contains(&lines.join("\n")), "{outcome}");
}
