use std::time::{Duration, Instant};

use vmm_core::vcpu::{ExitCounts, VcpuThread};

/// What is newer than this is too short ago for a rate.
const SHORTEST: Duration = Duration::from_millis(600);

/// How often vCPUs had left the guest a little while ago.
#[derive(Default)]
pub(in crate::machine) struct ExitHistory {
    older: Option<Mark>,
    newer: Option<Mark>,
}

struct Mark {
    time: Instant,
    counts: Vec<ExitCounts>,
}

impl ExitHistory {
    /// Notes how often they have by now.
    pub(in crate::machine) fn mark(&mut self, vcpus: &[VcpuThread]) {
        let time = Instant::now();
        if self.newer.as_ref().is_some_and(|mark| time - mark.time < SHORTEST) {
            return;
        }
        let counts = vcpus.iter().map(VcpuThread::exits).collect();
        self.older = self.newer.replace(Mark { time, counts });
    }

    /// How often each has left the guest lately, and over how long that is:
    /// about a second, once the machine has run for so long.
    pub(in crate::machine) fn lately(&self, vcpus: &[VcpuThread]) -> (Duration, Vec<ExitCounts>) {
        let now = Instant::now();
        let is_long_ago = |mark: &&Mark| now - mark.time >= SHORTEST;
        let from = self.newer.as_ref().filter(is_long_ago).or(self.older.as_ref());
        let Some(mark) = from.or(self.newer.as_ref()) else {
            return (Duration::ZERO, vec![ExitCounts::default(); vcpus.len()]);
        };
        let counts = vcpus.iter().zip(&mark.counts).map(|(vcpu, then)| vcpu.exits().since(then));
        (now - mark.time, counts.collect())
    }
}
