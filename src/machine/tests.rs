use std::time::Duration;

use devices::backend::console::ConsoleFacts;
use vmm_core::event::MachineRequest;

use super::phases::{Milestone, Phases};
use super::verdict::{Ending, Evidence, verdict};
use super::{RunError, hint};
use crate::agent::host::Progress;
use crate::agent::protocol::CommandEnd;
use crate::config::{Transport, VmConfig};
use crate::exit::{ExitStatus, Matched, Verdict};

fn calm() -> Evidence {
    Evidence::default()
}

fn with(facts: ConsoleFacts) -> Evidence {
    Evidence { facts, ..calm() }
}

fn panicked() -> Evidence {
    let panic = Some("Kernel panic - not syncing: x".into());
    with(ConsoleFacts { panic, ..ConsoleFacts::default() })
}

fn matched(fails: bool) -> Evidence {
    let matched = Matched { fails, pattern: "x".into(), line: "xy".into() };
    Evidence { matched: Some(matched), ..calm() }
}

fn power_off() -> Ending {
    Ending::Requested(MachineRequest::PowerOff)
}

fn triple_fault() -> Ending {
    Ending::Requested(MachineRequest::TripleFault { cpu: 1, rip: Some(0x1000) })
}

#[test]
fn a_guest_that_panicked_has_panicked_however_it_ends() {
    let ways = [
        Ending::Requested(MachineRequest::Reset { by: "i8042" }),
        Ending::Requested(MachineRequest::PowerOff),
        triple_fault(),
        Ending::Halted,
        Ending::PanicEnded,
    ];
    for way in ways {
        let verdict = verdict(way, &panicked()).unwrap();
        assert_eq!(
            verdict,
            Verdict::Panicked { line: Some("Kernel panic - not syncing: x".into()) }
        );
    }
}

#[test]
fn a_triple_fault_is_a_restart_only_if_one_was_announced() {
    let evidence = with(ConsoleFacts { restarting: true, ..ConsoleFacts::default() });
    assert_eq!(verdict(triple_fault(), &evidence).unwrap(), Verdict::Restarted);
    let died = Verdict::Died { cause: "a triple fault".into(), cpu: 1, rip: Some(0x1000) };
    assert_eq!(verdict(triple_fault(), &calm()).unwrap(), died);
}

#[test]
fn a_signal_and_a_timeout_are_what_they_are_even_after_a_panic() {
    assert_eq!(verdict(Ending::Signal(15), &panicked()).unwrap(), Verdict::Signal(15));
    let after = Duration::from_secs(3);
    assert_eq!(verdict(Ending::TimedOut(after), &panicked()).unwrap(), Verdict::TimedOut(after));
}

#[test]
fn a_thread_that_failed_is_no_verdict_on_the_guest() {
    let ending = Ending::Requested(MachineRequest::ThreadFailed { name: "vcpu0".into() });
    assert!(matches!(verdict(ending, &calm()), Err(RunError::Thread(name)) if name == "vcpu0"));
}

#[test]
fn a_panic_that_only_the_panic_device_told_is_one() {
    let evidence = Evidence { panic_noted: true, ..calm() };
    for ending in [Ending::PanicEnded, power_off(), triple_fault()] {
        assert_eq!(verdict(ending, &evidence).unwrap(), Verdict::Panicked { line: None });
    }
    let both = Evidence { panic_noted: true, ..panicked() };
    assert!(matches!(verdict(power_off(), &both).unwrap(), Verdict::Panicked { line: Some(_) }));
}

#[test]
fn a_pattern_that_matched_decides_but_over_a_signal() {
    for fails in [true, false] {
        let evidence = matched(fails);
        let expected = Verdict::Matched(evidence.matched.clone().unwrap());
        for ending in [Ending::Matched, power_off(), triple_fault(), Ending::TimedOut(SECOND)] {
            assert_eq!(verdict(ending, &evidence).unwrap(), expected);
        }
        assert_eq!(verdict(Ending::Signal(2), &evidence).unwrap(), Verdict::Signal(2));
    }
}

#[test]
fn a_success_needs_the_match_that_was_asked_for() {
    let evidence = Evidence { must_match: true, ..calm() };
    let unmatched = Verdict::Unmatched(Box::new(Verdict::PoweredOff));
    assert_eq!(verdict(power_off(), &evidence).unwrap(), unmatched);
    let exit = |value| Ending::Requested(MachineRequest::Exit(value));
    assert!(matches!(verdict(exit(0), &evidence).unwrap(), Verdict::Unmatched(_)));
    assert_eq!(verdict(exit(3), &evidence).unwrap(), Verdict::DebugExit(3));
    assert_eq!(verdict(Ending::TimedOut(SECOND), &evidence).unwrap(), Verdict::TimedOut(SECOND));
}

#[test]
fn a_warning_makes_a_success_a_failure_if_that_is_wanted() {
    let complaint = Some("WARNING: x".to_owned());
    let warned = with(ConsoleFacts { complaint, warnings: 1, ..ConsoleFacts::default() });
    assert_eq!(verdict(power_off(), &warned).unwrap(), Verdict::PoweredOff);
    let strict = Evidence { fail_on_warning: true, ..warned };
    let ending = Box::new(Verdict::PoweredOff);
    let expected = Verdict::Warned { ending, line: "WARNING: x".into() };
    assert_eq!(verdict(power_off(), &strict).unwrap(), expected);
    assert!(matches!(verdict(triple_fault(), &strict).unwrap(), Verdict::Died { .. }));
    let calm = Evidence { fail_on_warning: true, ..calm() };
    assert_eq!(verdict(power_off(), &calm).unwrap(), Verdict::PoweredOff);
}

const SECOND: Duration = Duration::from_secs(1);

fn config(cmdline: &str, disks: usize) -> VmConfig {
    let disk = serde_json::json!({ "path": "/d" });
    let disks = vec![disk; disks];
    let value = serde_json::json!({ "kernel": "/k", "cmdline": cmdline, "disks": disks });
    serde_json::from_value(value).unwrap()
}

fn panic(line: &str) -> Verdict {
    Verdict::Panicked { line: Some(format!("Kernel panic - not syncing: {line}")) }
}

#[test]
fn a_guest_without_a_root_is_told_what_it_had() {
    let verdict = panic("VFS: Unable to mount root fs on unknown-block(0,0)");
    let text =
        hint(&config("root=/dev/vda1 root=/dev/vdb rw", 2), &verdict, &Phases::begin()).unwrap();
    assert!(text.starts_with("2 disks are attached, /dev/vda and on, and root=/dev/vdb is given;"));
    assert!(text.contains("needs VIRTIO_PCI, VIRTIO_BLK"), "{text}");
    let off_pci = VmConfig { transport: Transport::Mmio, ..config("rw", 0) };
    let text = hint(&off_pci, &verdict, &Phases::begin()).unwrap();
    assert!(text.contains("needs VIRTIO_MMIO, VIRTIO_BLK"), "{text}");
    let text = hint(&config("rw", 0), &verdict, &Phases::begin()).unwrap();
    assert!(text.starts_with("no disk is attached, and no root= is given;"), "{text}");
}

#[test]
fn other_endings_need_no_hint() {
    assert_eq!(hint(&config("", 0), &panic("Attempted to kill init!"), &Phases::begin()), None);
    assert_eq!(hint(&config("", 0), &Verdict::PoweredOff, &Phases::begin()), None);
}

#[test]
fn a_milestone_counts_when_it_is_first_reached() {
    let phases = Phases::begin();
    assert!(!phases.has_reached(Milestone::KernelStarted));
    phases.reach(Milestone::InitStarted);
    let first = phases.at(Milestone::InitStarted).unwrap();
    phases.reach_at(Milestone::InitStarted, std::time::Instant::now() + Duration::from_secs(9));
    assert_eq!(phases.at(Milestone::InitStarted), Some(first));
    assert!(phases.has_reached(Milestone::KernelStarted), "it was passed, whenever that was");
    assert_eq!(phases.at(Milestone::KernelStarted), None);
    assert!(!phases.has_reached(Milestone::CommandStarted));
    assert!(phases.elapsed() >= first);
}

#[test]
fn a_guest_that_ends_without_its_command_has_lost_it() {
    let at = |command| Evidence { command: Some(command), ..calm() };
    let lost = |complaint| Verdict::CommandLost { how: "powered off", complaint };
    for progress in [Progress::Silent, Progress::Preparing, Progress::Running] {
        assert_eq!(verdict(power_off(), &at(progress)).unwrap(), lost(None));
    }
    let said = Evidence { complaint: Some("no sockets".into()), ..at(Progress::Silent) };
    let verdict_of = verdict(power_off(), &said).unwrap();
    assert_eq!(verdict_of, lost(Some("no sockets".into())));
    assert_eq!(verdict_of.status(), ExitStatus::Died);
    let crash = Evidence { command: Some(Progress::Running), ..panicked() };
    assert!(matches!(verdict(power_off(), &crash).unwrap(), Verdict::Panicked { .. }));
}

#[test]
fn a_command_that_ended_is_the_verdict() {
    let finished = || Ending::Requested(MachineRequest::Finished);
    let at = |command| Evidence { command: Some(command), ..calm() };
    let verdict_of = verdict(finished(), &at(Progress::Ended(CommandEnd::Exited(3)))).unwrap();
    assert_eq!(verdict_of, Verdict::Command(CommandEnd::Exited(3)));
    let failed = verdict(finished(), &at(Progress::Failed("x".into()))).unwrap();
    assert_eq!(failed.status(), ExitStatus::Failed);
    // Nothing that the kernel warned of goes unseen for it.
    let facts = ConsoleFacts { complaint: Some("WARNING: x".into()), ..ConsoleFacts::default() };
    let ended = Some(Progress::Ended(CommandEnd::Exited(0)));
    let warned = Evidence { facts, command: ended, fail_on_warning: true, ..calm() };
    assert_eq!(verdict(finished(), &warned).unwrap().status(), ExitStatus::Refused);
}
