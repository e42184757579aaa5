//! vCPU threads: one each, named, made with the machine and waiting to run.

mod control;
mod run;
#[cfg(test)]
mod tests;
mod thread;

pub use control::{Control, Desired};
pub use run::RunContext;
pub use thread::{SpawnError, VcpuThread};
