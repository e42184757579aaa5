use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Console, CpuCount, DiskConfig, DiskId, MemorySize, NetConfig, TapName};
use super::{Timeout, Transport, VmName};

/// A virtual machine to run. Every part is valid by its type; what concerns
/// several parts at once is [`VmConfig::check`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmConfig {
    /// Shown in logs and thread names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<VmName>,
    /// The kernel image.
    pub kernel: PathBuf,
    /// Initial RAM disks, concatenated in this order.
    #[serde(default)]
    pub initrds: Vec<PathBuf>,
    /// The kernel's whole command line.
    pub cmdline: String,
    /// Virtual processors.
    #[serde(default = "default_cpus")]
    pub cpus: CpuCount,
    /// Guest memory.
    #[serde(default = "default_memory")]
    pub memory: MemorySize,
    /// Disks, `/dev/vda` first.
    #[serde(default)]
    pub disks: Vec<DiskConfig>,
    /// Network interfaces, `eth0` first.
    #[serde(default)]
    pub nets: Vec<NetConfig>,
    /// How the guest reaches its disks and interfaces.
    #[serde(default)]
    pub transport: Transport,
    /// Where the serial console goes.
    #[serde(default)]
    pub console: Console,
    /// How long the run may last; for ever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
}

fn default_cpus() -> CpuCount {
    CpuCount::DEFAULT
}

fn default_memory() -> MemorySize {
    MemorySize::DEFAULT
}

/// Why the parts of a machine do not go together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two disks share an id.
    #[error("--disk: two disks have the id {0}")]
    DiskIdTwice(DiskId),
    /// Two interfaces share a tap.
    #[error("--net: two interfaces use the tap {0}")]
    TapTwice(TapName),
    /// Two interfaces share an address.
    #[error("--net: two interfaces have the address {0}")]
    MacTwice(super::MacAddr),
}

impl VmConfig {
    /// Checks what concerns several parts at once.
    ///
    /// # Errors
    /// [`ConfigError`] names the first two parts that clash.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(id) = repeated(self.disks.iter().filter_map(|disk| disk.id.as_ref())) {
            return Err(ConfigError::DiskIdTwice(id.clone()));
        }
        if let Some(tap) = repeated(self.nets.iter().map(|net| &net.tap)) {
            return Err(ConfigError::TapTwice(tap.clone()));
        }
        if let Some(mac) = repeated(self.nets.iter().filter_map(|net| net.mac.as_ref())) {
            return Err(ConfigError::MacTwice(*mac));
        }
        Ok(())
    }
}

/// The first item that was there before.
fn repeated<'a, T: Eq + std::hash::Hash>(items: impl Iterator<Item = &'a T>) -> Option<&'a T> {
    let mut seen = HashSet::new();
    items.into_iter().find(|item| !seen.insert(*item))
}
