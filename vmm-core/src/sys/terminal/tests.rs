use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::MutexGuard;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::OutputFlags;
use nix::unistd::{Pid, tcsetpgrp};

use super::*;

/// Set in a process that was started to run one test by itself.
const ALONE: &str = "KILN_TEST_ALONE";

/// There is one raw terminal in a process: these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mode(fd: impl AsFd) -> libc::termios {
    tcgetattr(fd).unwrap().into()
}

fn is_raw(fd: impl AsFd) -> bool {
    !tcgetattr(fd).unwrap().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO)
}

#[test]
fn the_terminal_is_raw_while_held_and_exactly_as_before_afterwards() {
    let _turn = turn();
    let pty = openpty(None, None).unwrap();
    let before = mode(&pty.slave);
    let guard = RawTerminal::enter(pty.slave.as_fd()).unwrap();
    let raw = tcgetattr(&pty.slave).unwrap();
    assert!(is_raw(&pty.slave));
    assert!(!raw.local_flags.contains(LocalFlags::ISIG), "Ctrl-C is the guest's");
    assert!(!raw.input_flags.intersects(InputFlags::IXON | InputFlags::ICRNL));
    assert!(!raw.output_flags.contains(OutputFlags::OPOST), "the guest ends its lines");
    assert!(super::is_raw());
    drop(guard);
    assert!(!super::is_raw());
    assert_eq!(mode(&pty.slave), before);
}

#[test]
fn a_panic_restores_the_terminal() {
    let _turn = turn();
    let pty = openpty(None, None).unwrap();
    let before = mode(&pty.slave);
    let slave = pty.slave.try_clone().unwrap();
    let died = std::thread::spawn(move || {
        let _guard = RawTerminal::enter(slave.as_fd()).unwrap();
        assert!(!is_raw(&slave), "as planned");
    });
    died.join().unwrap_err();
    assert_eq!(mode(&pty.slave), before);
}

#[test]
fn a_path_without_the_guard_restores_and_takes_again() {
    let _turn = turn();
    let pty = openpty(None, None).unwrap();
    let before = mode(&pty.slave);
    let guard = RawTerminal::enter(pty.slave.as_fd()).unwrap();
    let raw = mode(&pty.slave);
    restore();
    assert_eq!(mode(&pty.slave), before);
    reapply();
    assert_eq!(mode(&pty.slave), raw);
    drop(guard);
    assert_eq!(mode(&pty.slave), before);
    reapply();
    restore();
    assert_eq!(mode(&pty.slave), before);
}

#[test]
fn one_terminal_at_a_time_is_raw() {
    let _turn = turn();
    let (first, second) = (openpty(None, None).unwrap(), openpty(None, None).unwrap());
    let guard = RawTerminal::enter(first.slave.as_fd()).unwrap();
    let refused = RawTerminal::enter(second.slave.as_fd()).err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert!(!is_raw(&second.slave));
    drop(guard);
    let _second = RawTerminal::enter(second.slave.as_fd()).unwrap();
    assert!(is_raw(&second.slave));
}

#[test]
fn what_is_no_terminal_is_refused() {
    let _turn = turn();
    let (reader, _writer) = io::pipe().unwrap();
    let refused = RawTerminal::enter(reader.as_fd()).err().unwrap();
    assert_eq!(refused.raw_os_error(), Some(libc::ENOTTY));
}

#[test]
fn a_terminal_that_has_hung_up_is_no_trouble() {
    let _turn = turn();
    let pty = openpty(None, None).unwrap();
    let guard = RawTerminal::enter(pty.slave.as_fd()).unwrap();
    drop(pty.master);
    restore();
    reapply();
    drop(guard);
}

#[test]
fn a_background_process_leaves_the_terminal_alone_until_it_is_in_the_foreground() {
    if std::env::var_os(ALONE).is_some() {
        return in_a_session_of_its_own();
    }
    let test = "a_background_process_leaves_the_terminal_alone_until_it_is_in_the_foreground";
    let pty = openpty(None, None).unwrap();
    let out = Command::new("setsid")
        .args(["--ctty", "--wait"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("sys::terminal::tests::{test}")])
        .env(ALONE, "1")
        .stdin(Stdio::from(pty.slave))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

/// The body of the test, with a controlling terminal on standard input.
fn in_a_session_of_its_own() {
    use std::os::unix::process::CommandExt;

    let terminal = io::stdin();
    assert!(terminal.as_fd().as_raw_fd() == 0 && !in_background(&terminal));
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    blocked.thread_block().unwrap();
    // Another group, which lives until its input ends, gets the terminal.
    let mut other = Command::new("cat").stdin(Stdio::piped()).process_group(0).spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(other.id()).unwrap());
    tcsetpgrp(&terminal, group).unwrap();

    let before = mode(&terminal);
    let guard = RawTerminal::enter(terminal.as_fd()).unwrap();
    assert!(in_background(&terminal));
    assert_eq!(mode(&terminal), before, "not ours to change");
    reapply();
    assert_eq!(mode(&terminal), before);

    tcsetpgrp(&terminal, getpgrp()).unwrap();
    reapply();
    assert!(is_raw(&terminal), "as after `fg`");

    tcsetpgrp(&terminal, group).unwrap();
    restore();
    assert!(is_raw(&terminal), "not ours to change, again");
    tcsetpgrp(&terminal, getpgrp()).unwrap();
    drop(guard);
    assert_eq!(mode(&terminal), before);
    drop(other.stdin.take());
    other.wait().unwrap();
}

#[test]
fn a_terminal_has_a_size_and_a_pipe_has_none() {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    assert_eq!(super::size(&pty.slave), Some((80, 24)));
    let (reader, _writer) = io::pipe().unwrap();
    assert_eq!(super::size(&reader), None);
}
