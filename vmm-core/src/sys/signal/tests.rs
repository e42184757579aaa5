use std::process::Command;

use nix::sys::signal::raise;

use super::*;

/// Set in a process that was started to run one test by itself.
const ALONE: &str = "KILN_TEST_ALONE";

// `raise` signals the calling thread, so other tests do not notice.

#[test]
fn signals_from_outside_become_orders() {
    let signals = Signals::block().unwrap();
    assert_eq!(signals.next().unwrap(), None);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        raise(signal).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Order::End(signal as i32)));
    }
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
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    if std::env::var_os(ALONE).is_some() {
        let signals = Signals::block().unwrap();
        raise(Signal::SIGHUP).unwrap();
        raise(Signal::SIGINT).unwrap();
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Order::End(libc::SIGTERM)));
        assert_eq!(signals.next().unwrap(), None);
        return;
    }
    let test = "sys::signal::tests::a_signal_that_was_ignored_at_the_start_stays_ignored";
    let out = Command::new("sh")
        .args(["-c", "trap '' HUP INT TERM; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}
