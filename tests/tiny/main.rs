//! Tier 1: tiny guests of our own, which run on any `/dev/kvm`.

#![expect(clippy::unwrap_used, reason = "this is a test, its functions too")]

mod boot;
mod console;
mod devices;
mod disks;
mod endings;
mod pci;
mod smp;
mod streams;
mod suite;
mod terminal;
mod verdicts;

use testing::Outcome;

/// Runs with one limit after the other, until one was long enough for the guest
/// to get where `is_there` says: how long it takes is the machine's affair.
/// Returns that limit, or the last, and the outcome with it.
fn run_with<L: Copy>(
    limits: &[L],
    run: impl Fn(L) -> Outcome,
    is_there: impl Fn(&Outcome) -> bool,
) -> (L, Outcome) {
    let runs = limits.iter().map(|limit| (*limit, run(*limit)));
    let mut last = None;
    for (limit, outcome) in runs {
        if is_there(&outcome) {
            return (limit, outcome);
        }
        last = Some((limit, outcome));
    }
    last.expect("there is a limit")
}

/// What Kiln says of endings that many tests choose.
const POWERED_OFF: &str = "kiln: the guest powered off";
const RESTARTED: &str = "kiln: the guest asked for a restart, which ends the run";
