//! passt ends with Kiln, and Kiln goes on without passt.

use std::fs;
use std::sync::mpsc;
use std::thread;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use testing::{PATIENCE, Signal, patiently};

use super::{guest, place};
use crate::POWERED_OFF;
use crate::report::Report;

/// The passt that Kiln, the process `kiln`, has started.
fn passt_of(kiln: i32) -> Pid {
    let is_child = |status: &str| {
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim())
        };
        field("PPid:") == Some(&kiln.to_string())
            && field("Name:").is_some_and(|name| name.starts_with("passt"))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        is_child(&status).then_some(Pid::from_raw(pid))
    });
    pids.next().expect("Kiln has started passt")
}

/// Waits for the end of a process whose parent is gone: it has become ours.
fn end_of(orphan: Pid) -> WaitStatus {
    let (send, ended) = mpsc::channel();
    thread::spawn(move || send.send(waitpid(orphan, None)));
    let status = ended.recv_timeout(PATIENCE);
    status.expect("passt is there long after Kiln").expect("passt is a child of ours")
}

#[test]
fn passt_goes_when_kiln_is_killed() {
    // Of what Kiln leaves behind, this process becomes the parent.
    set_child_subreaper(true).unwrap();
    patiently(|| {
        let Some(place) = place() else { return };
        let mut guest = guest(&place, "", &[], "read line").stdin_pipe().spawn();
        guest.wait_for("lease=yes");
        let passt = passt_of(guest.pid());
        guest.signal(Signal::SIGKILL);
        assert_eq!(guest.wait().status, 1009);
        assert_eq!(end_of(passt), WaitStatus::Exited(passt, 0));
    });
}

#[test]
fn passt_goes_before_kiln_ends_by_itself() {
    patiently(|| {
        let Some(place) = place() else { return };
        for way in [None, Some(Signal::SIGTERM)] {
            let mut guest = guest(&place, "", &[], "read line").stdin_pipe().spawn();
            guest.wait_for("lease=yes");
            let passt = passt_of(guest.pid());
            match way {
                Some(signal) => guest.signal(signal),
                None => guest.write("go on\n"),
            };
            let outcome = guest.wait();
            assert_eq!(outcome.status, if way.is_some() { 143 } else { 0 }, "{outcome}");
            assert!(!fs::exists(format!("/proc/{passt}")).unwrap(), "passt is still there");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
        }
    });
}

#[test]
fn a_guest_whose_passt_dies_sees_its_link_go_down_and_goes_on() {
    patiently(|| {
        let Some(place) = place() else { return };
        let script = "
        echo carrier=$(cat /sys/class/net/eth0/carrier)
        echo up
        while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done
        echo carrier=$(cat /sys/class/net/eth0/carrier)
        ping -c 1 -W 1 192.0.2.2 >/dev/null || echo ping=no";
        let mut guest = guest(&place, "", &[], script).spawn();
        guest.wait_for("up\r\n");
        kill(passt_of(guest.pid()), Signal::SIGKILL).unwrap();
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("carrier"), ["1", "0"], "{outcome}");
        assert_eq!(report.one("ping"), "no");
        let lines: Vec<_> = outcome.stderr.lines().collect();
        let warning = "kiln: warn: virtio-net: the host's end is gone: passt has ended";
        assert_eq!(lines, [warning, POWERED_OFF], "{outcome}");
    });
}
