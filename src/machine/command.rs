use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use boot::initramfs::{Driver, Initramfs, ModuleTree, ModulesError};
use boot::loader::loaded_size;
use boot::{Initrd, Kernel};
use devices::backend::vsock::LocalPorts;

use super::RunError;
use super::error::host;
use super::options;
use super::platform::Platform;
use crate::agent::guest::MODULES;
use crate::agent::host::{Session, job};
use crate::agent::protocol::{Job, PORT};
use crate::config::{CommandConfig, Transport, VmConfig};

/// How many connections of the guest's agent may wait; it makes five.
const BACKLOG: usize = 8;

/// What a guest has its root and its streams by.
const DRIVERS: [Driver; 3] = [
    Driver { module: "vmw_vsock_virtio_transport", option: "VIRTIO_VSOCKETS" },
    Driver { module: "virtiofs", option: "VIRTIO_FS" },
    Driver { module: "overlay", option: "OVERLAY_FS" },
];

/// What is ready for a command before there is a guest.
pub(super) struct Errand {
    job: Job,
    incoming: Receiver<UnixStream>,
}

impl Errand {
    /// Makes ready for the command of `config`, if there is one: its initial
    /// RAM disk, and the port that the guest's agent connects to.
    pub(super) fn open(
        config: &VmConfig,
        kernel: &Kernel,
        ports: &mut LocalPorts,
    ) -> Result<Option<(Self, Initrd)>, RunError> {
        let Some(command) = &config.command else { return Ok(None) };
        let job = job(command, &config.shares, config.name.as_ref())?;
        let initrd = initramfs(command, kernel, config.transport)?;
        let incoming = ports.open(PORT, BACKLOG);
        Ok(Some((Self { job, incoming }, initrd)))
    }

    /// The threads that serve the command once `platform` runs.
    pub(super) fn into_session(self, platform: &Platform) -> Result<Session, RunError> {
        let phases = Arc::clone(&platform.phases);
        Session::new(self.job, self.incoming, &platform.requests, phases)
            .map_err(host("make a thread"))
    }
}

/// This program as init, the modules that it loads, and no more. The nodes are
/// what a program opens that starts without standard streams.
fn initramfs(
    command: &CommandConfig,
    kernel: &Kernel,
    transport: Transport,
) -> Result<Initrd, RunError> {
    let modules = modules(command, kernel, transport)?;
    let (program, size) = own_program().map_err(host("read Kiln's own program"))?;
    let mut initramfs = Initramfs::default();
    initramfs.folder("dev");
    initramfs.device("dev/console", 5, 1);
    initramfs.device("dev/null", 1, 3);
    initramfs.program("init", program, size);
    let folder = MODULES.trim_start_matches('/');
    initramfs.folder(folder);
    for (number, (name, contents)) in modules.iter().enumerate() {
        // Sorted by name, they are in this order.
        initramfs.file(&format!("{folder}/{number:04}-{name}.ko"), contents);
    }
    Ok(initramfs.finish())
}

/// What `kernel` needs as modules; nothing if it has none. What it lacks then
/// is known if it says how it was built, else it shows in the guest.
fn modules(
    command: &CommandConfig,
    kernel: &Kernel,
    transport: Transport,
) -> Result<Vec<(String, Vec<u8>)>, RunError> {
    let release = kernel.release().map_err(host("read the kernel"))?;
    log::info!("the kernel's release: {}", release.as_deref().unwrap_or("unknown"));
    let drivers = drivers(transport);
    match tree(command, release.as_deref())? {
        Some(tree) => Ok(tree.load(&drivers)?),
        None => options::check(kernel, release.as_deref(), &drivers).map(|()| Vec::new()),
    }
}

/// What a guest needs that reaches its devices so.
fn drivers(transport: Transport) -> Vec<Driver> {
    let bus = match transport {
        Transport::Pci => Driver { module: "virtio_pci", option: "VIRTIO_PCI" },
        Transport::Mmio => Driver { module: "virtio_mmio", option: "VIRTIO_MMIO" },
    };
    [&[bus][..], &DRIVERS].concat()
}

/// The modules of the kernel of this release, if there are any.
fn tree(
    command: &CommandConfig,
    release: Option<&str>,
) -> Result<Option<ModuleTree>, ModulesError> {
    match (&command.modules, release) {
        (Some(folder), release) => ModuleTree::open(folder, release).map(Some),
        (None, Some(release)) => ModuleTree::of_system(release),
        (None, None) => Ok(None),
    }
}

/// What the kernel may lack that a command needs, as a sentence. If it says how
/// it was built, for which it is unpacked if need be, that is known; if not, it
/// is worth a word where the guest's agent `has_complained`.
pub(super) fn hint(config: &VmConfig, has_complained: bool) -> Option<String> {
    let command = config.command.as_ref()?;
    let kernel = Kernel::open(&config.kernel).ok()?;
    let release = kernel.release().ok()?;
    let release = release.as_deref();
    if tree(command, release).ok()?.is_some() {
        return None;
    }
    let drivers = drivers(config.transport);
    match kernel.options(Instant::now() + options::PATIENCE) {
        Ok(Some(options)) => options::lack(&options, release, &drivers)
            .map(|lack| format!("the kernel is not one for commands: {lack}")),
        Ok(None) | Err(_) => has_complained.then(|| options::needs(release, &drivers)),
    }
}

/// This program, and how many of its bytes it takes to run it.
fn own_program() -> io::Result<(File, u32)> {
    let program = File::open("/proc/self/exe")?;
    let size = u32::try_from(loaded_size(&program)?).map_err(io::Error::other)?;
    Ok((program, size))
}
