//! What a virtual machine is made of, checked: one definition for the command
//! line and for files.

mod cmdline;
mod console;
mod cpus;
mod disk;
mod host;
mod kernel;
mod list;
mod mac;
mod name;
mod net;
mod size;
#[cfg(test)]
mod tests;
mod timeout;
mod vm;

pub use cmdline::default_cmdline;
pub use console::Console;
pub use cpus::CpuCount;
pub use disk::{DiskConfig, DiskId};
pub use host::{HostLimits, OverLimit};
pub use kernel::{NoKernel, newest_kernel};
pub use mac::MacAddr;
pub use name::VmName;
pub use net::{NetConfig, TapName};
pub use size::{ByteSize, MemorySize};
pub use timeout::Timeout;
pub use vm::{ConfigError, VmConfig};

/// Why a value was refused: a clause for a person, to follow the option's
/// name and the value as given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub(crate) String);

impl BadValue {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
