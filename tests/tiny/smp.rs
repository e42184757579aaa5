//! More than one processor.

use std::thread;
use std::time::Instant;

use testing::{Guest, PATIENCE, Signal};

use crate::POWERED_OFF;
use crate::streams::cpu_ticks;

#[test]
fn every_processor_comes_up_and_they_share_memory() {
    for cpus in [1, 2, 8, 64] {
        let outcome = Guest::tiny(&["smp", "end:poweroff"]).cpus(cpus).run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(outcome.text(), format!("smp: {cpus} of {cpus} up\n"));
    }
}

#[test]
fn the_most_processors_are_all_there() {
    let outcome = Guest::tiny(&["smp", "end:poweroff"]).cpus(254).run();
    outcome.expect(0, POWERED_OFF);
    assert_eq!(outcome.text(), "smp: 254 of 254 up\n");
}

#[test]
fn a_machine_halts_only_when_all_its_processors_do() {
    let outcome = Guest::tiny(&["smp", "end:halt"]).cpus(4).run();
    outcome.expect(0, "kiln: the guest halted for good");
    // One that spins keeps it running.
    let mut guest = Guest::tiny(&["smp:spin", "end:halt"]).cpus(2).spawn();
    guest.wait_for("smp: 2 of 2 up\n");
    // It has then spun for longer than Kiln takes to find a halt.
    let (start, deadline) = (cpu_ticks(guest.pid()), Instant::now() + PATIENCE);
    while cpu_ticks(guest.pid()) - start < 200 {
        assert!(Instant::now() < deadline, "it does not spin");
        thread::yield_now();
    }
    guest.signal(Signal::SIGTERM);
    guest.wait().expect(143, "kiln: the run was ended by SIGTERM");
}

#[test]
fn processors_that_never_started_do_not_keep_it_running() {
    let outcome = Guest::tiny(&["end:halt"]).cpus(4).run();
    outcome.expect(0, "kiln: the guest halted for good");
}

#[test]
fn spinning_processors_end_by_signal_and_by_reset() {
    let mut guest = Guest::tiny(&["smp:spin", "end:spin"]).cpus(4).spawn();
    guest.wait_for("smp: 4 of 4 up\n").signal(Signal::SIGTERM);
    guest.wait().expect(143, "kiln: the run was ended by SIGTERM");
    let outcome = Guest::tiny(&["smp:spin", "end:poweroff"]).cpus(4).run();
    outcome.expect(0, POWERED_OFF);
}

#[test]
fn each_processor_has_a_thread_of_its_name() {
    let mut guest = Guest::tiny(&["smp", "end:stihlt"]).cpus(3).spawn();
    guest.wait_for("up\n");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", guest.pid())).unwrap();
    let mut names: Vec<_> = tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap())
        .collect();
    names.sort();
    for name in ["vcpu0\n", "vcpu1\n", "vcpu2\n"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    guest.signal(Signal::SIGTERM);
    guest.wait().expect(143, "kiln: the run was ended by SIGTERM");
}
