use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand};

use super::{TestArgs, VerdictArgs};
use crate::config::{
    BalloonConfig, Console, CpuCount, DiskConfig, EnvChange, MemorySize, NetConfig, Port, PvPanic,
    Rng, ShareConfig, Timeout, Transport, VmName, VsockConfig,
};

/// The command line as typed.
#[derive(Debug, Parser)]
#[command(
    name = "kiln",
    version,
    about = "Runs virtual machines on KVM",
    disable_help_subcommand = true
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot a kernel and run it until it ends
    Run(Box<RunArgs>),
    /// Run each combination of a matrix, some at a time, and say which failed
    Test(TestArgs),
    /// Say what this host can do, and what to do about what it cannot
    Check(CheckArgs),
}

/// Arguments of `kiln check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `kiln run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// bzImage, ELF or Multiboot image [default: newest readable /boot/vmlinuz-*]
    #[arg(short, long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,

    /// Initial RAM disk; several are concatenated
    #[arg(short, long = "initrd", value_name = "PATH")]
    pub initrds: Vec<PathBuf>,

    /// Kernel command line instead of the default: console=ttyS0 (or hvc0)
    /// reboot=k panic=-1, and root=/dev/vda rw with a disk and no initrd
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub cmdline: Option<String>,

    /// Add to the command line, before any ` -- `
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub append: Vec<String>,

    /// Virtual processors, 1 to 254
    #[arg(short, long, value_name = "N", default_value_t = CpuCount::DEFAULT, allow_hyphen_values = true)]
    pub cpus: CpuCount,

    /// Guest memory, with K, M, G or T
    #[arg(short, long, value_name = "SIZE", default_value_t = MemorySize::DEFAULT, allow_hyphen_values = true)]
    pub memory: MemorySize,

    /// Image or block device as a disk; repeatable (docs/cli.md has the options, as
    /// readonly and serial=TEXT; a comma in PATH is doubled)
    #[arg(short, long = "disk", value_name = "PATH[,OPTION]...",
        value_parser = os(DiskConfig::parse))]
    pub disks: Vec<DiskConfig>,

    /// Network interface on a tap, which is created if that is permitted, or on the
    /// host's own connections; repeatable (docs/cli.md has the options, as
    /// mac=ADDRESS and mtu=N)
    #[arg(short, long = "net", value_name = "tap=NAME|fd=N|user[,OPTION]...",
        value_parser = os(NetConfig::parse))]
    pub nets: Vec<NetConfig>,

    /// Sockets between programs of guest and host: the guest's address, 3 or more, and
    /// the Unix socket at which the host reaches it
    #[arg(long, value_name = "cid=N,socket=PATH", value_parser = os(VsockConfig::parse))]
    pub vsock: Option<VsockConfig>,

    /// Whether the guest has a device for random bytes of the host's
    #[arg(long, value_name = "on|off", default_value_t = Rng::default())]
    pub rng: Rng,

    /// Have memory that the guest does not need go back to the host (docs/cli.md has
    /// the options, as size=SIZE, which the guest is to do without)
    #[arg(long, value_name = "OPTION[,OPTION]...",
        num_args = 0..=1, default_missing_value = "", value_parser = os(BalloonConfig::parse))]
    pub balloon: Option<BalloonConfig>,

    /// Directory of the host's for the guest to mount by TAG (mount -t virtiofs TAG
    /// /mnt), with ,ro to only read; repeatable; a comma in DIR is doubled
    #[arg(long = "share", value_name = "TAG=DIR[,ro]", value_parser = os(ShareConfig::parse))]
    pub shares: Vec<ShareConfig>,

    /// How the guest reaches its virtio devices
    #[arg(long, value_name = "pci|mmio", default_value_t = Transport::default())]
    pub transport: Transport,

    /// Where the serial console goes, or with hvc= the virtio console; repeatable
    /// [default: stdio]
    #[arg(long = "console", value_name = "[hvc=]stdio|stderr|off|file=PATH",
        value_parser = os(Console::parse))]
    pub consoles: Vec<(Port, Console)>,

    /// The host's directory that becomes the root of a command; what is changed
    /// there is thrown away
    #[arg(long, value_name = "DIR", default_value = "/", requires = "errand")]
    pub root: PathBuf,

    /// A directory that a command can write to, and the host keeps; repeatable
    #[arg(long = "rw", value_name = "DIR", requires = "errand")]
    pub writable: Vec<PathBuf>,

    /// Set a variable of a command's environment, which is Kiln's otherwise, or
    /// take it away; repeatable
    #[arg(long, value_name = "NAME[=VALUE]", requires = "errand",
        value_parser = os(EnvChange::parse))]
    pub env: Vec<EnvChange>,

    /// The kernel's modules, for a command [default: /lib/modules/RELEASE]
    #[arg(long, value_name = "DIR", requires = "errand")]
    pub modules: Option<PathBuf>,

    /// Run your shell in the guest, as a command
    #[arg(long, group = "errand", conflicts_with = "initrds")]
    pub shell: bool,

    /// Name of the machine in logs and threads
    #[arg(long)]
    pub name: Option<VmName>,

    /// End the run after this time, as 30s or 5m, with status 124
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<Timeout>,

    /// End the run, as SIGTERM does, when the process that started Kiln ends
    #[arg(long)]
    pub die_with_parent: bool,

    /// What else the run is judged by.
    #[command(flatten)]
    pub verdict: VerdictArgs,

    /// Whether and where the guest can say that its kernel panics
    #[arg(long, value_name = "isa|pci|off", default_value_t = PvPanic::default())]
    pub pvpanic: PvPanic,

    /// Log here instead of to stderr
    #[arg(long, value_name = "PATH")]
    pub log_file: Option<PathBuf>,

    /// Log more: -v what happens, -vv details
    #[arg(short, action = ArgAction::Count)]
    pub verbose: u8,

    /// Run this in the guest, with the host's files as its root, and end with its
    /// status
    #[arg(last = true, value_name = "COMMAND", group = "errand", conflicts_with = "initrds")]
    pub command: Vec<OsString>,
}

/// A parser for values that may hold any bytes, as paths do.
fn os<T, E>(
    parse: impl Fn(&std::ffi::OsStr) -> Result<T, E> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
{
    OsStringValueParser::new().try_map(move |value: OsString| parse(&value))
}
