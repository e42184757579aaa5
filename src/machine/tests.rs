use std::time::Duration;

use devices::backend::console::ConsoleFacts;
use vmm_core::event::MachineRequest;

use super::phases::{Milestone, Phases};
use super::verdict::{Ending, verdict};
use super::{RunError, hint};
use crate::config::{Transport, VmConfig};
use crate::exit::Verdict;

fn calm() -> ConsoleFacts {
    ConsoleFacts::default()
}

fn panicked() -> ConsoleFacts {
    ConsoleFacts { panic: Some("Kernel panic - not syncing: x".into()), ..calm() }
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
        assert_eq!(verdict, Verdict::Panicked { line: "Kernel panic - not syncing: x".into() });
    }
}

#[test]
fn a_triple_fault_is_a_restart_only_if_one_was_announced() {
    let facts = ConsoleFacts { restarting: true, ..calm() };
    assert_eq!(verdict(triple_fault(), &facts).unwrap(), Verdict::Restarted);
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

fn config(cmdline: &str, disks: usize) -> VmConfig {
    let disk = serde_json::json!({ "path": "/d" });
    let disks = vec![disk; disks];
    let value = serde_json::json!({ "kernel": "/k", "cmdline": cmdline, "disks": disks });
    serde_json::from_value(value).unwrap()
}

fn panic(line: &str) -> Verdict {
    Verdict::Panicked { line: format!("Kernel panic - not syncing: {line}") }
}

#[test]
fn a_guest_without_a_root_is_told_what_it_had() {
    let verdict = panic("VFS: Unable to mount root fs on unknown-block(0,0)");
    let text = hint(&config("root=/dev/vda1 root=/dev/vdb rw", 2), &verdict).unwrap();
    assert!(text.starts_with("2 disks are attached, /dev/vda and on, and root=/dev/vdb is given;"));
    assert!(text.contains("needs VIRTIO_PCI, VIRTIO_BLK"), "{text}");
    let off_pci = VmConfig { transport: Transport::Mmio, ..config("rw", 0) };
    let text = hint(&off_pci, &verdict).unwrap();
    assert!(text.contains("needs VIRTIO_MMIO, VIRTIO_BLK"), "{text}");
    let text = hint(&config("rw", 0), &verdict).unwrap();
    assert!(text.starts_with("no disk is attached, and no root= is given;"), "{text}");
}

#[test]
fn other_endings_need_no_hint() {
    assert_eq!(hint(&config("", 0), &panic("Attempted to kill init!")), None);
    assert_eq!(hint(&config("", 0), &Verdict::PoweredOff), None);
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
