//! Tier 2: stock and minimal Linux kernels. Where the host's KVM cannot run
//! them, cargo's runner starts this whole binary in the lab.

#![expect(clippy::unwrap_used, reason = "this is a test, its functions too")]

mod balloon;
mod boot;
mod command;
mod console;
mod disk;
mod endings;
mod hvc;
mod net;
mod net_options;
mod networks;
mod pci;
mod report;
mod rng;
mod shares;
mod storage;
mod suite;
mod symbols;
mod user_net;
mod verdicts;
mod vhost;
mod vsock;

/// What Kiln says of endings that many tests choose.
const POWERED_OFF: &str = "kiln: the guest powered off";
const RESTARTED: &str = "kiln: the guest asked for a restart, which ends the run";

/// The kernel that most tests boot: small, and with all drivers built in.
const MINIMAL: &str = "minimal/vmlinux";
