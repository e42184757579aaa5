//! vCPU threads: one each, named, made with the machine and waiting to run.

mod control;
mod exits;
mod run;
mod snapshot;
#[cfg(test)]
mod tests;
mod thread;

pub use control::{Control, Desired};
pub use exits::{ExitCounts, ExitKind};
pub use run::RunContext;
pub use snapshot::Snapshot;
pub use thread::{SpawnError, VcpuThread};
