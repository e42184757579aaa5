use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    BadValue, BalloonConfig, CommandConfig, Consoles, CpuCount, DiskConfig, DiskId, Forward,
    MemorySize, NetConfig,
};
use super::{
    NetHost, Port, PvPanic, Rng, ShareConfig, ShareTag, TapName, Timeout, Transport, VerdictConfig,
    VmName, VsockConfig,
};

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
    /// Sockets between programs of guest and host; none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock: Option<VsockConfig>,
    /// Whether there is an entropy device.
    #[serde(default)]
    pub rng: Rng,
    /// The balloon, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<BalloonConfig>,
    /// Directories of the host's that the guest can mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareConfig>,
    /// How the guest reaches its virtio devices.
    #[serde(default)]
    pub transport: Transport,
    /// The command that the guest is for, if it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandConfig>,
    /// Where the consoles go.
    #[serde(default)]
    pub console: Consoles,
    /// How long the run may last; for ever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// What else the run is judged by, and who is told.
    #[serde(default)]
    pub verdict: VerdictConfig,
    /// Whether and where the guest can say that its kernel panics.
    #[serde(default)]
    pub pvpanic: PvPanic,
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
    /// Two interfaces share a descriptor.
    #[error("--net: two interfaces use the descriptor {0}")]
    FdTwice(i32),
    /// Two forwards listen at the same place.
    #[error("--net: two forwards use the same port of the host: {0} and {1}")]
    ForwardTwice(Forward, Forward),
    /// An interface's options do not go together.
    #[error("--net: {0}")]
    Net(BadValue),
    /// Two interfaces share an address.
    #[error("--net: two interfaces have the address {0}")]
    MacTwice(super::MacAddr),
    /// Two consoles are on standard output.
    #[error("--console: the serial port and hvc0 cannot both be on stdio")]
    StdioTwice,
    /// A console is where the command's output is.
    #[error("--console: standard output is the command's; a console can be on stderr or in a file")]
    StdoutTwice,
    /// Two consoles share a file.
    #[error("--console: the serial port and hvc0 cannot both write to {}", .0.display())]
    ConsoleFileTwice(PathBuf),
    /// A console is given twice.
    #[error("--console: {0} is given twice")]
    ConsoleTwice(Port),
    /// The panic device is on a bus that is not there.
    #[error("--pvpanic pci: a machine with --transport mmio has no PCI bus")]
    PanicWithoutBus,
    /// Both reports go to one file.
    #[error("--report and --junit cannot both write to {}", .0.display())]
    ReportTwice(PathBuf),
    /// The balloon does not fit the machine.
    #[error("--balloon: {0}")]
    Balloon(BadValue),
    /// A share's tag leads out of the folder that has a command's shares.
    #[error(
        "--share: with a command, {0} is a path below /mnt: it cannot start with / or have . or .."
    )]
    ShareTagPath(ShareTag),
    /// Two shares have one tag.
    #[error("--share: two shares have the tag {0}")]
    ShareTagTwice(ShareTag),
}

impl VmConfig {
    /// Whether there may be a moment at which to say where the guest hangs.
    pub fn may_be_asked_where_it_is(&self) -> bool {
        self.timeout.or(self.verdict.boot_timeout).or(self.verdict.quiet_after).is_some()
    }

    /// All shares: those that a command needs come first.
    pub fn all_shares(&self) -> Vec<ShareConfig> {
        let of_command = self.command.iter().flat_map(CommandConfig::shares);
        of_command.chain(self.shares.iter().cloned()).collect()
    }

    /// Checks what concerns several parts at once.
    ///
    /// # Errors
    /// [`ConfigError`] names the first two parts that clash.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(id) = repeated(self.disks.iter().filter_map(|disk| disk.id.as_ref())) {
            return Err(ConfigError::DiskIdTwice(id.clone()));
        }
        self.check_nets()?;
        if let Some(mac) = repeated(self.nets.iter().filter_map(|net| net.mac.as_ref())) {
            return Err(ConfigError::MacTwice(*mac));
        }
        if let Some(balloon) = &self.balloon {
            balloon.check(self.memory).map_err(ConfigError::Balloon)?;
        }
        if let Some(tag) = repeated(self.all_shares().iter().map(|share| &share.tag)) {
            return Err(ConfigError::ShareTagTwice(tag.clone()));
        }
        if self.command.is_some()
            && let Some(share) = self.shares.iter().find(|share| !share.tag.is_path())
        {
            return Err(ConfigError::ShareTagPath(share.tag.clone()));
        }
        if self.pvpanic == PvPanic::Pci && self.transport == Transport::Mmio {
            return Err(ConfigError::PanicWithoutBus);
        }
        if let (Some(report), Some(junit)) = (&self.verdict.report, &self.verdict.junit)
            && report == junit
        {
            return Err(ConfigError::ReportTwice(report.clone()));
        }
        if self.command.is_some() && self.console.is_on_stdout() {
            return Err(ConfigError::StdoutTwice);
        }
        self.console.check()
    }

    /// What the host has only once is used only once.
    fn check_nets(&self) -> Result<(), ConfigError> {
        let (mut taps, mut descriptors) = (Vec::new(), Vec::new());
        let mut forwards: Vec<&Forward> = Vec::new();
        for net in &self.nets {
            net.check().map_err(ConfigError::Net)?;
            match &net.backend {
                NetHost::Tap(tap) => taps.push(&tap.name),
                NetHost::Fd(fd) => descriptors.extend(fd.descriptors.numbers()),
                NetHost::User(user) => forwards.extend(&user.forwards),
            }
        }
        if let Some(tap) = repeated(taps.into_iter()) {
            return Err(ConfigError::TapTwice(tap.clone()));
        }
        if let Some(number) = repeated(descriptors.into_iter()) {
            return Err(ConfigError::FdTwice(*number));
        }
        for (index, forward) in forwards.iter().enumerate() {
            if let Some(first) = forwards[..index].iter().find(|other| other.clashes(forward)) {
                return Err(ConfigError::ForwardTwice(**first, **forward));
            }
        }
        Ok(())
    }
}

/// The first item that was there before.
fn repeated<'a, T: Eq + std::hash::Hash>(items: impl Iterator<Item = &'a T>) -> Option<&'a T> {
    let mut seen = HashSet::new();
    items.into_iter().find(|item| !seen.insert(*item))
}
