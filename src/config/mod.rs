//! What a virtual machine is made of, checked: one definition for the command
//! line and for files.

mod bad_value;
mod balloon;
mod cmdline;
mod command;
mod console;
mod cpus;
mod disk;
mod disk_values;
mod forward;
mod host;
mod kernel;
mod list;
mod mac;
mod name;
mod net;
mod net_values;
mod pattern;
mod pvpanic;
mod rng;
mod share;
mod size;
#[cfg(test)]
mod tests;
mod text;
mod timeout;
mod transport;
mod verdict;
mod vm;
mod vsock;

pub use bad_value::BadValue;
pub use balloon::BalloonConfig;
pub use cmdline::default_cmdline;
pub use command::{CommandConfig, EnvChange};
pub use console::{Console, Consoles, Port};
pub use cpus::CpuCount;
pub use disk::DiskConfig;
pub use disk_values::{Bandwidth, CacheMode, DiskFormat, DiskId, Iops, QueueCount, QueueSize};
pub use forward::{Forward, GuestNetwork, Ports, Protocol};
pub use host::{HostLimits, OverLimit};
pub use kernel::{NoKernel, newest_kernel};
pub use mac::MacAddr;
pub use name::VmName;
pub use net::{FdConfig, NetConfig, NetHost, TapConfig, UserConfig};
pub use net_values::{Descriptors, Mtu, PacketRate, QueuePairs, TapName, VhostMode};
pub use pattern::Pattern;
pub use pvpanic::PvPanic;
pub use rng::Rng;
pub use share::{ShareConfig, ShareTag};
pub use size::{ByteSize, MemorySize};
pub use timeout::Timeout;
pub use transport::Transport;
pub use verdict::VerdictConfig;
pub use vm::{ConfigError, VmConfig};
pub use vsock::{GuestCid, VsockConfig};
