use std::io;
use std::path::PathBuf;

use boot::acpi::AcpiError;
use boot::initramfs::ModulesError;
use boot::{CmdlineError, InitrdError, KernelError, LoadError};
use devices::backend::disk::DiskError;
use devices::backend::fs::ShareError;
use devices::backend::net::{TapError, VhostError};
use devices::backend::vsock::VsockError;
use devices::pci::{AssignError, NoSlot};
use vm_memory::GuestMemoryError;
use vmm_core::bus::BusError;
use vmm_core::event::WorkerPanic;
use vmm_core::kvm::{SystemError, VcpuError, VmError};
use vmm_core::mem::MemError;
use vmm_core::vcpu::SpawnError;

use super::PasstError;
use crate::agent::host::JobError;
use crate::config::Transport;
use crate::symbols::SymbolError;

/// Why a machine cannot be run, by Kiln or on this host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The kernel cannot be used.
    #[error("--kernel: {0}")]
    Kernel(#[source] KernelError),
    /// The command line is not for this kernel.
    #[error("--cmdline: {0}")]
    Cmdline(#[source] CmdlineError),
    /// An initrd cannot be used.
    #[error("--initrd: {0}")]
    Initrd(#[source] InitrdError),
    /// A disk cannot be used.
    #[error("--disk: {0}")]
    Disk(#[source] DiskError),
    /// A network interface cannot be used.
    #[error("--net: {0}")]
    Net(#[source] TapError),
    /// A network of the user cannot be had.
    #[error("--net: {0}")]
    Passt(#[from] PasstError),
    /// The socket device's Unix socket cannot be had.
    #[error("--vsock: {0}")]
    Vsock(#[source] VsockError),
    /// A directory cannot be shared.
    #[error("{option}: {source}")]
    Share {
        /// The option that names it.
        option: &'static str,
        /// What is wrong with it.
        source: ShareError,
    },
    /// The symbols cannot be used.
    #[error("--vmlinux: {0}")]
    Vmlinux(#[source] SymbolError),
    /// The host's kernel cannot move packets.
    #[error("--net: vhost=on: {0}")]
    Vhost(#[source] VhostError),
    /// The kernel lacks what a command needs.
    #[error("--kernel: kernel {} cannot run a command: {why}", path.display())]
    Options {
        /// The kernel.
        path: PathBuf,
        /// What it lacks, as a clause.
        why: String,
    },
    /// The kernel's modules cannot be had.
    #[error("--modules: {0}")]
    Modules(#[from] ModulesError),
    /// Nobody can say what the command is to find.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The console's file cannot be written.
    #[error("--console: the file {path} cannot be written")]
    ConsoleFile {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// More devices than interrupt lines.
    #[error(
        "--transport {transport}: {count} virtio devices are more than the {limit} that a machine \
         takes with it"
    )]
    TooManyDevices {
        /// All virtio devices together.
        count: usize,
        /// The most.
        limit: usize,
        /// How they are reached.
        transport: Transport,
    },
    /// More vCPUs than the host's KVM runs.
    #[error("--cpus: {cpus} processors are more than this host's KVM allows ({limit})")]
    TooManyCpus {
        /// Asked for.
        cpus: u8,
        /// The most.
        limit: usize,
    },
    /// What was given does not fit into the guest's memory, or together.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The firmware tables do not fit.
    #[error(transparent)]
    Acpi(#[from] AcpiError),
    /// There is no usable /dev/kvm.
    #[error(transparent)]
    System(#[from] SystemError),
    /// KVM refused.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// KVM refused something of a vCPU.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
    /// A vCPU's thread cannot be made.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Guest memory cannot be had.
    #[error("--memory: {0}")]
    Memory(#[source] MemError),
    /// Guest memory is too small for the entry state.
    #[error("--memory: the guest is too small for its page tables")]
    Entry(#[source] GuestMemoryError),
    /// The PCI bus is full.
    #[error(transparent)]
    Slot(#[from] NoSlot),
    /// The windows of the PCI devices do not fit.
    #[error(transparent)]
    Assign(#[from] AssignError),
    /// Two devices claim one address: a bug.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The host refused something that needs no more explanation.
    #[error("the host refuses to {what}")]
    Host {
        /// What was asked, as a verb.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// The host failed while the machine ran.
    #[error("the host failed: {0}")]
    Failed(String),
    /// A thread of Kiln's panicked. The panic's own line has been printed.
    #[error("the thread {0} failed, which ends the machine")]
    Thread(String),
}

/// For `map_err`: the host refuses to `what`.
pub(super) fn host<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> RunError {
    move |source| RunError::Host { what, source: source.into() }
}

impl From<WorkerPanic> for RunError {
    fn from(panic: WorkerPanic) -> Self {
        Self::Thread(panic.thread)
    }
}
