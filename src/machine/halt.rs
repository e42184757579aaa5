use std::time::Duration;

use vmm_core::vcpu::VcpuThread;

/// How often to look at a guest that works.
const USUAL: Duration = Duration::from_millis(700);
/// How long a vCPU has to answer.
const ANSWER: Duration = Duration::from_millis(100);

/// Finds out whether the guest has halted for good.
///
/// To ask a vCPU makes it leave the guest, so only those of a machine are
/// asked that have done nothing since the last look. A halt shows so at the
/// second look at the latest, and two answers in a row count: it is found
/// within 1.6 s.
#[derive(Default)]
pub(super) struct HaltWatch {
    /// The processor time of each vCPU at the last look.
    used: Vec<Option<Duration>>,
    /// Whether the last look found them all halted.
    found: bool,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// All vCPUs have halted for good.
    Halted,
    /// Nothing yet: look again after this time.
    Again(Duration),
}

impl HaltWatch {
    /// When to look first.
    pub(super) const FIRST: Duration = USUAL;

    /// Looks at the vCPUs.
    pub(super) fn look(&mut self, vcpus: &[VcpuThread]) -> Look {
        let halted = vcpus.iter().all(VcpuThread::was_halted);
        if halted && self.found {
            return Look::Halted;
        }
        self.found = halted;
        let used = vcpus.iter().map(VcpuThread::cpu_time).collect();
        let was_quiet = self.used == used;
        self.used = used;
        if !halted && !was_quiet {
            return Look::Again(USUAL);
        }
        vcpus.iter().for_each(VcpuThread::probe);
        Look::Again(ANSWER)
    }
}
