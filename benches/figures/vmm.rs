use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guest::{Disk, Guest, Tap, Transport};

/// A VMM and how it is made to run a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vmm {
    /// The one that was just built.
    Kiln,
    /// Another build of it, to compare with.
    OtherKiln,
    /// Firecracker, without its API socket.
    Firecracker,
    /// Cloud Hypervisor.
    CloudHypervisor,
    /// QEMU's microvm machine.
    Qemu,
    /// kvmtool.
    Kvmtool,
}

impl Vmm {
    /// Everything that Kiln may be compared with.
    pub(crate) const PEERS: [Self; 5] =
        [Self::OtherKiln, Self::Firecracker, Self::CloudHypervisor, Self::Qemu, Self::Kvmtool];

    /// What it is called in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kiln => "Kiln",
            Self::OtherKiln => "other Kiln",
            Self::Firecracker => "Firecracker",
            Self::CloudHypervisor => "Cloud Hypervisor",
            Self::Qemu => "QEMU microvm",
            Self::Kvmtool => "kvmtool",
        }
    }

    /// What `--peer` calls it.
    pub(crate) fn peer_name(self) -> &'static str {
        match self {
            Self::Kiln | Self::OtherKiln => "kiln",
            Self::Firecracker => "firecracker",
            Self::CloudHypervisor => "cloud-hypervisor",
            Self::Qemu => "qemu",
            Self::Kvmtool => "kvmtool",
        }
    }

    /// Its binary's name on the stage.
    pub(crate) fn staged_name(self) -> &'static str {
        match self {
            Self::OtherKiln => "other-kiln",
            other => other.peer_name(),
        }
    }

    /// What its binary may be called in PATH. Another Kiln has to be named.
    pub(crate) fn file_names(self) -> &'static [&'static str] {
        match self {
            Self::Kiln | Self::OtherKiln => &[],
            Self::Firecracker => &["firecracker"],
            Self::CloudHypervisor => &["cloud-hypervisor"],
            Self::Qemu => &["qemu-system-x86_64"],
            Self::Kvmtool => &["kvmtool", "lkvm"],
        }
    }

    /// Whether it is measured with what `guest` has.
    fn knows(self, guest: &Guest) -> bool {
        match self {
            Self::Kiln | Self::OtherKiln => true,
            Self::Qemu => guest.options.is_empty(),
            _ => {
                let has_devices =
                    !guest.disks.is_empty() || guest.tap.is_some() || guest.share.is_some();
                guest.options.is_empty() && !has_devices
            }
        }
    }

    /// Whether a guest's restart ends the process. Cloud Hypervisor starts the
    /// guest again instead, so there the guest powers off.
    pub(crate) fn ends_on_restart(self) -> bool {
        self != Self::CloudHypervisor
    }

    /// What it needs on the kernel's command line that the others do without:
    /// Firecracker's own default has this.
    pub(crate) fn extra_cmdline(self) -> Option<&'static str> {
        (self == Self::Firecracker).then_some("pci=off i8042.nokbd")
    }

    /// The command that runs `guest` with its serial port on stdout, or `None`
    /// if this VMM cannot load it. `folder` takes configuration files.
    ///
    /// # Errors
    /// If such a file cannot be written.
    pub(crate) fn command(
        self,
        binary: &Path,
        guest: &Guest,
        folder: &Path,
    ) -> io::Result<Option<Command>> {
        let mut command = Command::new(binary);
        if !self.knows(guest) {
            return Ok(None);
        }
        match self {
            Self::Kiln | Self::OtherKiln => kiln(&mut command, guest),
            Self::Firecracker => firecracker(&mut command, guest, folder)?,
            Self::CloudHypervisor => cloud_hypervisor(&mut command, guest),
            Self::Qemu => qemu(&mut command, guest),
            Self::Kvmtool => match &guest.bzimage {
                Some(kernel) => kvmtool(&mut command, guest, kernel),
                None => return Ok(None),
            },
        }
        Ok(Some(command))
    }
}

fn kiln(command: &mut Command, guest: &Guest) {
    command.arg("run").arg("-k").arg(&guest.kernel).args(["-m", &format!("{}M", guest.mib)]);
    command.args(["--cmdline", &guest.cmdline]);
    if let Some(initrd) = &guest.initrd {
        command.arg("-i").arg(initrd);
    }
    // Only what differs from the default, so that older builds know it all.
    if guest.cpus > 1 {
        command.args(["-c", &guest.cpus.to_string()]);
    }
    match guest.transport {
        Some(Transport::Pci) => drop(command.args(["--transport", "pci"])),
        Some(Transport::Mmio) => drop(command.args(["--transport", "mmio"])),
        None => {}
    }
    for disk in &guest.disks {
        let mut option = disk.path.clone().into_os_string();
        if disk.direct {
            option.push(",cache=direct");
        }
        if disk.qcow2 {
            option.push(",format=qcow2,readonly");
        }
        if guest.cpus > 1 {
            option.push(format!(",queues={}", guest.cpus));
        }
        command.arg("--disk").arg(option);
    }
    if let Some(Tap { name, vhost }) = &guest.tap {
        let vhost = if *vhost { "on" } else { "off" };
        command.args(["--net", &format!("tap={name},vhost={vhost}")]);
    }
    if let Some((path, read_only)) = &guest.share {
        let ro = if *read_only { ",ro" } else { "" };
        command.args(["--share", &format!("t={}{ro}", path.display())]);
    }
    command.args(&guest.options);
}

fn firecracker(command: &mut Command, guest: &Guest, folder: &Path) -> io::Result<()> {
    let mut source = serde_json::json!({
        "kernel_image_path": guest.kernel,
        "boot_args": guest.cmdline,
    });
    if let Some(initrd) = &guest.initrd {
        source["initrd_path"] = serde_json::json!(initrd);
    }
    let mut config = serde_json::json!({
        "boot-source": source,
        "machine-config": { "vcpu_count": 1, "mem_size_mib": guest.mib },
        "drives": [],
    });
    if !fs::read_to_string("/proc/cpuinfo")?.split_whitespace().any(|flag| flag == "xsave") {
        // It insists on KVM_CAP_XCRS, the lab's processor has none, and the
        // guest does without: number 56 need not be there.
        let template = folder.join("firecracker-cpu.json");
        fs::write(&template, r#"{ "kvm_capabilities": ["!56"] }"#)?;
        config["cpu-config"] = serde_json::json!(template);
    }
    let path: PathBuf = folder.join("firecracker.json");
    fs::write(&path, config.to_string())?;
    // Its log would otherwise be on stdout, with the guest's bytes.
    command.args(["--no-api", "--level", "Off", "--log-path", "/dev/null"]);
    command.arg("--config-file").arg(path);
    Ok(())
}

fn cloud_hypervisor(command: &mut Command, guest: &Guest) {
    command.arg("--kernel").arg(&guest.kernel).args(["--cmdline", &guest.cmdline]);
    command.args(["--memory", &format!("size={}M", guest.mib), "--cpus", "boot=1"]);
    command.args(["--serial", "tty", "--console", "off"]);
    if let Some(initrd) = &guest.initrd {
        command.arg("--initramfs").arg(initrd);
    }
}

fn qemu(command: &mut Command, guest: &Guest) {
    let machine = match guest.transport {
        Some(Transport::Pci) => "q35,accel=kvm",
        _ => "microvm,accel=kvm",
    };
    // It gives up over a register that software KVM refuses, so not that one.
    command.args(["-M", machine, "-cpu", "host,-arch-capabilities"]);
    command.args(["-nodefaults", "-no-user-config"]);
    command.args(["-display", "none", "-serial", "stdio", "-no-reboot"]);
    command.args(["-smp", &guest.cpus.to_string()]);
    command.args(["-m", &guest.mib.to_string()]).arg("-kernel").arg(&guest.kernel);
    command.args(["-append", &guest.cmdline]);
    if let Some(initrd) = &guest.initrd {
        command.arg("-initrd").arg(initrd);
    }
    if !guest.disks.is_empty() {
        // The modern transport, as everybody else's.
        command.args(["-global", "virtio-mmio.force-legacy=false"]);
        command.args(["-object", "iothread,id=disks"]);
    }
    for (number, disk) in guest.disks.iter().enumerate() {
        command.arg("-blockdev").arg(qemu_blockdev(number, disk).to_string());
        let kind = if guest.transport == Some(Transport::Pci) { "pci" } else { "device" };
        let queues = guest.cpus;
        command.args([
            "-device",
            &format!("virtio-blk-{kind},drive=disk{number},iothread=disks,num-queues={queues}"),
        ]);
    }
    if let Some(Tap { name, vhost }) = &guest.tap {
        let vhost = if *vhost { "on" } else { "off" };
        let tap = format!("tap,id=net0,ifname={name},script=no,downscript=no,vhost={vhost}");
        command.args(["-netdev", &tap]);
        // Without what a firmware would boot from the network.
        command.args(["-device", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile="]);
    }
    if let Some((path, read_only)) = &guest.share {
        qemu_share(command, path, *read_only);
    }
}

/// A directory in QEMU's words: 9p, as an ordinary user has it without a daemon.
fn qemu_share(command: &mut Command, path: &Path, read_only: bool) {
    let readonly = if read_only { "on" } else { "off" };
    let path = path.display();
    let fsdev = format!("local,id=s,path={path},security_model=none,readonly={readonly}");
    command.args(["-fsdev", &fsdev]);
    command.args(["-device", "virtio-9p-pci,fsdev=s,mount_tag=t,disable-legacy=on"]);
}

/// A disk in QEMU's words: io_uring, and the cache as Kiln's.
fn qemu_blockdev(number: usize, disk: &Disk) -> serde_json::Value {
    let node = format!("disk{number}");
    let mut file = serde_json::json!({
        "driver": "file",
        "filename": disk.path,
        "aio": "io_uring",
        "cache": { "direct": disk.direct },
        "read-only": disk.qcow2,
    });
    if !disk.qcow2 {
        file["node-name"] = node.into();
        return file;
    }
    serde_json::json!({
        "driver": "qcow2",
        "file": file,
        "cache": { "direct": disk.direct },
        "read-only": true,
        "node-name": node,
    })
}

fn kvmtool(command: &mut Command, guest: &Guest, kernel: &Path) {
    command.arg("run").arg("-k").arg(kernel).args(["-c", "1", "-m", &guest.mib.to_string()]);
    command.args(["--network", "mode=none", "--console", "serial", "-p", &guest.cmdline]);
    if let Some(initrd) = &guest.initrd {
        command.arg("-i").arg(initrd);
    }
}
