//! KVM behind safe types: the system, a VM, its vCPUs and interrupt lines.
//!
//! Source: the kernel's Documentation/virt/kvm/api.rst.

mod doorbells;
mod exit;
mod irqfd;
mod kick;
mod level;
mod probe;
mod routes;
mod stats;
mod system;
#[cfg(test)]
mod tests;
mod vcpu;
mod vm;

pub use doorbells::IoeventDoorbells;
pub use exit::{Exit, Failure};
pub use irqfd::IrqfdLine;
pub use kick::ImmediateExit;
pub use level::LevelLine;
pub use probe::{Capability, HostKind};
pub use routes::MsiRoutes;
pub use stats::{KvmCounts, VcpuStats};
pub use system::{System, SystemError};
pub use vcpu::{Vcpu, VcpuError};
pub use vm::{Vm, VmError};
