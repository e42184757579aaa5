//! Tier 1: tiny guests of our own, which run on any `/dev/kvm`.

#![expect(clippy::unwrap_used, reason = "this is a test, its functions too")]

mod boot;
mod console;
mod devices;
mod disks;
mod endings;
mod options;
mod pci;
mod smp;
mod streams;
mod suite;
mod terminal;
mod verdicts;

/// What Kiln says of endings that many tests choose.
const POWERED_OFF: &str = "kiln: the guest powered off";
const RESTARTED: &str = "kiln: the guest asked for a restart, which ends the run";
