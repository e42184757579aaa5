use std::time::Duration;

use vmm_core::vcpu::VcpuThread;

/// Finds out whether the guest has halted for good.
///
/// To ask a vCPU makes it leave the guest, so that only those of a machine
/// are asked that have done nothing since the last look.
#[derive(Default)]
pub(super) struct HaltWatch {
    /// The processor time of each vCPU at the last look.
    used: Vec<Option<Duration>>,
    /// Whether the last look found them all halted.
    found: bool,
}

impl HaltWatch {
    /// How often to look. A halt shows as no progress at the second look at
    /// the latest, and two answers in a row count: it is found within four.
    pub(super) const INTERVAL: Duration = Duration::from_millis(400);

    /// Looks at the vCPUs; true if all have halted for good.
    pub(super) fn look(&mut self, vcpus: &[VcpuThread]) -> bool {
        let halted = vcpus.iter().all(VcpuThread::was_halted);
        if halted && self.found {
            return true;
        }
        self.found = halted;
        let used = vcpus.iter().map(VcpuThread::cpu_time).collect();
        let was_quiet = self.used == used;
        self.used = used;
        if halted || was_quiet {
            vcpus.iter().for_each(VcpuThread::probe);
        }
        false
    }
}
