use std::time::{Duration, Instant};

use vmm_core::kvm::KvmCounts;
use vmm_core::vcpu::{ExitCounts, VcpuThread};

/// What is newer than this is too short ago for a rate.
const SHORTEST: Duration = Duration::from_millis(600);

/// How often a vCPU has left the guest.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::machine) struct Exits {
    /// For Kiln.
    pub(super) own: ExitCounts,
    /// What KVM counts; `None` if it does not.
    pub(super) kvm: Option<KvmCounts>,
}

impl Exits {
    fn of(vcpu: &VcpuThread) -> Self {
        Self { own: vcpu.exits(), kvm: vcpu.kvm_counts() }
    }

    fn since(&self, earlier: &Self) -> Self {
        let kvm = self.kvm.zip(earlier.kvm).map(|(now, then)| now.since(&then));
        Self { own: self.own.since(&earlier.own), kvm }
    }
}

/// How often vCPUs had left the guest a little while ago.
#[derive(Default)]
pub(in crate::machine) struct ExitHistory {
    older: Option<Mark>,
    newer: Option<Mark>,
}

struct Mark {
    time: Instant,
    exits: Vec<Exits>,
}

impl ExitHistory {
    /// Notes how often they have by now.
    pub(in crate::machine) fn mark(&mut self, vcpus: &[VcpuThread]) {
        let time = Instant::now();
        if self.newer.as_ref().is_some_and(|mark| time - mark.time < SHORTEST) {
            return;
        }
        let exits = vcpus.iter().map(Exits::of).collect();
        self.older = self.newer.replace(Mark { time, exits });
    }

    /// How often each has left the guest lately, and over how long that is:
    /// about a second, once the machine has run for so long.
    pub(in crate::machine) fn lately(&self, vcpus: &[VcpuThread]) -> (Duration, Vec<Exits>) {
        let now = Instant::now();
        let is_long_ago = |mark: &&Mark| now - mark.time >= SHORTEST;
        let from = self.newer.as_ref().filter(is_long_ago).or(self.older.as_ref());
        let Some(mark) = from.or(self.newer.as_ref()) else {
            return (Duration::ZERO, vec![Exits::default(); vcpus.len()]);
        };
        let lately = vcpus.iter().zip(&mark.exits).map(|(vcpu, then)| Exits::of(vcpu).since(then));
        (now - mark.time, lately.collect())
    }
}
