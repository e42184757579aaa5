use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use boot::{Initrd, Kernel};
use devices::backend::console::Sink;
use devices::backend::disk::{self, DiskImage, Format, OpenOptions};
use devices::backend::fs::Share;
use devices::backend::vsock::LocalPorts;

use super::RunError;
use super::attach::Sockets;
use super::command::Errand;
use super::nets::Nets;
use super::shares;
use crate::config::{CacheMode, Console, DiskConfig, DiskFormat, VmConfig};
use crate::symbols::Symbols;

/// Everything of the host's that a machine uses, opened before KVM is
/// touched: whatever cannot be used is found here, with nothing half-started.
pub(super) struct Inputs {
    pub kernel: Kernel,
    pub initrds: Vec<Initrd>,
    pub disks: Vec<Arc<dyn DiskImage>>,
    pub nets: Nets,
    pub shares: Vec<Share>,
    pub sockets: Option<Sockets>,
    pub serial: Sink,
    pub hvc: Option<Sink>,
    pub errand: Option<Errand>,
}

impl Inputs {
    /// Opens what `config` names. The consoles' files come last: they are
    /// the only ones that opening changes for good.
    pub(super) fn open(config: &VmConfig, mut ports: LocalPorts) -> Result<Self, RunError> {
        let kernel = Kernel::open(&config.kernel).map_err(RunError::Kernel)?;
        kernel.check_cmdline(&config.cmdline).map_err(RunError::Cmdline)?;
        let mut initrds: Vec<_> = config
            .initrds
            .iter()
            .map(|path| Initrd::open(path).map_err(RunError::Initrd))
            .collect::<Result<_, _>>()?;
        if let Some(path) = &config.verdict.vmlinux {
            Symbols::check(path).map_err(RunError::Vmlinux)?;
        }
        let errand = Errand::open(config, &kernel, &mut ports)?.map(|(errand, initrd)| {
            initrds.push(initrd);
            errand
        });
        let disks = config.disks.iter().map(open_disk).collect::<Result<_, _>>()?;
        let shares = shares::open(config)?;
        let nets = Nets::open(config)?;
        let sockets = Sockets::open(config.vsock.as_ref(), ports)?;
        let serial = open_console(config.console.serial())?;
        let hvc = config.console.hvc.as_ref().map(open_console).transpose()?;
        Ok(Self { kernel, initrds, disks, nets, shares, sockets, serial, hvc, errand })
    }
}

fn open_disk(disk: &DiskConfig) -> Result<Arc<dyn DiskImage>, RunError> {
    let format = disk.format.map(|format| match format {
        DiskFormat::Raw => Format::Raw,
        DiskFormat::Qcow2 => Format::Qcow2,
    });
    let options = OpenOptions {
        read_only: disk.readonly,
        cache: match disk.cache {
            CacheMode::Writeback => disk::CacheMode::Writeback,
            CacheMode::Direct => disk::CacheMode::Direct,
            CacheMode::Unsafe => disk::CacheMode::Unsafe,
        },
        sparse: disk.sparse,
    };
    disk::open(&disk.path, format, options).map_err(RunError::Disk)
}

fn open_console(console: &Console) -> Result<Sink, RunError> {
    Ok(match console {
        Console::Stdio => Sink::Stdout,
        Console::Stderr => Sink::Stderr,
        Console::Off => Sink::Off,
        Console::File(path) => {
            let file = create(path)
                .map_err(|source| RunError::ConsoleFile { path: path.clone(), source })?;
            Sink::File { file, path: path.clone() }
        }
    })
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).open(path)
}
