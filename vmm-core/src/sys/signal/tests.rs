use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::raise;

use super::*;

/// Set in a process that was started to run one test by itself.
const ALONE: &str = "KILN_TEST_ALONE";

// `raise` signals the calling thread, so other tests do not notice.

#[test]
fn signals_from_outside_become_orders() {
    let signals = Signals::block().unwrap();
    assert_eq!(signals.next().unwrap(), None);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        raise(signal).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Order::End(signal as i32)));
    }
    // A person or a program sent it, and the terminal, if any, is there.
    raise(Signal::SIGHUP).unwrap();
    assert_eq!(signals.next().unwrap(), Some(Order::Refresh));
    raise(Signal::SIGWINCH).unwrap();
    assert_eq!(signals.next().unwrap(), Some(Order::Resize));
    raise(Signal::SIGTSTP).unwrap();
    assert_eq!(signals.next().unwrap(), Some(Order::Stop));
    raise(Signal::SIGCONT).unwrap();
    assert_eq!(signals.next().unwrap(), Some(Order::Continue));
    assert_eq!(signals.next().unwrap(), None);
}

#[test]
fn touching_the_terminal_from_the_background_does_not_stop_us() {
    let _signals = Signals::block().unwrap();
    let blocked = SigSet::thread_get_mask().unwrap();
    assert!(blocked.contains(Signal::SIGTTIN) && blocked.contains(Signal::SIGTTOU));
}

#[test]
fn threads_started_later_do_not_take_the_signals() {
    let _signals = Signals::block().unwrap();
    let mask = std::thread::spawn(|| SigSet::thread_get_mask().unwrap()).join().unwrap();
    assert!(mask.contains(Signal::SIGTERM) && mask.contains(Signal::SIGINT));
}

#[test]
fn a_shielded_thread_takes_no_signals_and_its_maker_still_does() {
    let before = SigSet::thread_get_mask().unwrap();
    let thread = shielded(|| std::thread::Builder::new().spawn(SigSet::thread_get_mask)).unwrap();
    assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    let theirs = thread.join().unwrap().unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCONT] {
        assert!(theirs.contains(signal) && !before.contains(signal), "{signal}");
    }
}

/// This test binary, to run the test of that name by itself.
fn alone(test: &str, by: &[&str]) -> Command {
    let mut command = Command::new(by[0]);
    let test = format!("sys::signal::tests::{test}");
    command.args(&by[1..]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--nocapture"]).env(ALONE, "1");
    command
}

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    if is_alone() {
        let signals = Signals::block().unwrap();
        raise(Signal::SIGINT).unwrap();
        raise(Signal::SIGQUIT).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        // It asks for no end, so that ignoring it is not meant.
        raise(Signal::SIGHUP).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Order::Refresh));
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Order::End(libc::SIGTERM)));
        return;
    }
    let script = "trap '' HUP INT QUIT TERM; exec \"$@\"";
    let test = "a_signal_that_was_ignored_at_the_start_stays_ignored";
    let out = alone(test, &["sh", "-c", script, "sh"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

/// What this test's process says once it listens, on its stderr.
const LISTENS: u8 = b'!';

fn wait_for_order(signals: &Signals) -> Option<Order> {
    let mut fds = [PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::NONE).unwrap();
    signals.next().unwrap()
}

/// Runs `test` by itself, by way of `script`, on a terminal of its own, which
/// goes away when it listens.
fn lose_terminal(test: &str, script: &str) {
    let pair = openpty(None, None).unwrap();
    // Unlike the first descriptor, one that no child inherits.
    let master = pair.master.try_clone().unwrap();
    drop(pair.master);
    // Signals to the process are for any thread, and a test is not the first.
    let mask = "--block-signal=HUP,CONT";
    let by = ["setsid", "--ctty", "--wait", "sh", "-c", script, "sh", "env", mask];
    let mut command = alone(test, &by);
    command.stdin(pair.slave).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = [0];
    child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(said, [LISTENS]);
    drop(master);
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
}

#[test]
fn a_lost_terminal_ends_the_run_unless_hang_ups_were_ignored() {
    if is_alone() {
        let signals = Signals::block().unwrap();
        let is_survived = is_ignored(Signal::SIGHUP).unwrap();
        let end = if is_survived { Order::Refresh } else { Order::End(libc::SIGHUP) };
        raise(Signal::SIGHUP).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Order::Refresh));
        std::io::stderr().write_all(&[LISTENS]).unwrap();
        assert_eq!(wait_for_order(&signals), Some(end));
        // As a shell passes it on to its other jobs.
        raise(Signal::SIGHUP).unwrap();
        let mut orders = std::iter::from_fn(|| signals.next().unwrap());
        assert_eq!(orders.find(|order| *order != Order::Continue), Some(end));
        return;
    }
    let test = "a_lost_terminal_ends_the_run_unless_hang_ups_were_ignored";
    lose_terminal(test, "exec \"$@\"");
    lose_terminal(test, "trap '' HUP; exec \"$@\"");
}
