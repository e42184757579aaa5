//! Where a guest is that hangs: its processors' registers, how often they leave
//! the guest, and what the console showed last.

mod exits;
mod names;
#[cfg(test)]
mod tests;
mod text;

pub(super) use exits::ExitHistory;
use exits::Exits;
pub(super) use names::Names;
pub(super) use text::{console_lines, note, report};

use std::time::{Duration, Instant};

use vmm_core::vcpu::{Snapshot, VcpuThread};

/// How long the processors have, together, to say where they are.
const ANSWER: Duration = Duration::from_millis(200);

/// Where each processor is; `None` for one that is held up outside of the
/// guest.
pub(super) fn snapshots(vcpus: &[VcpuThread]) -> Vec<Option<Snapshot>> {
    vcpus.iter().for_each(VcpuThread::ask_snapshot);
    let deadline = Instant::now() + ANSWER;
    vcpus.iter().map(|vcpu| vcpu.snapshot(deadline)).collect()
}
