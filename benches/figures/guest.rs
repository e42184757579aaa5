use std::path::{Path, PathBuf};

use crate::vmm::Vmm;

/// How much memory every guest here has.
const MIB: u32 = 256;
const CMDLINE: &str = "console=ttyS0 reboot=k panic=-1";

/// What a VMM is asked to run.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// An ELF.
    pub(crate) kernel: PathBuf,
    /// The same as bzImage, if there is one.
    pub(crate) bzimage: Option<PathBuf>,
    /// An initramfs.
    pub(crate) initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub(crate) cmdline: String,
    /// Memory in MiB.
    pub(crate) mib: u32,
    /// Processors, and queues of each disk.
    pub(crate) cpus: u32,
    /// How it reaches its disks, if not as the VMM likes best.
    pub(crate) transport: Option<Transport>,
    /// Its disks.
    pub(crate) disks: Vec<Disk>,
    /// The host's end of its network.
    pub(crate) tap: Option<Tap>,
    /// A directory of the host's, and whether it is only to be read; its tag is `t`.
    pub(crate) share: Option<(PathBuf, bool)>,
    /// What Kiln is told besides; with that, it is measured alone.
    pub(crate) options: Vec<String>,
}

/// A tap of the host's.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    /// The interface.
    pub(crate) name: String,
    /// Whether the host's kernel moves the packets.
    pub(crate) vhost: bool,
}

/// How a guest reaches a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// virtio-pci, with MSI-X.
    Pci,
    /// virtio-mmio.
    Mmio,
}

/// An image as a disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// The image.
    pub(crate) path: PathBuf,
    /// Whether it goes past the host's page cache.
    pub(crate) direct: bool,
    /// Whether it is qcow2, and only to be read.
    pub(crate) qcow2: bool,
}

impl Disk {
    /// A raw image, written back by the host's page cache.
    pub(crate) fn raw(path: PathBuf) -> Self {
        Self { path, direct: false, qcow2: false }
    }
}

/// What Linux's init does once it has written [`Guest::INIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Restarts, or powers off where that is what ends the VMM.
    End,
    /// Nothing, for ever.
    Idle,
}

impl Guest {
    /// The byte that the tiny guest writes.
    pub(crate) const MARK: &[u8] = b"~";
    /// The line that Linux's init writes.
    pub(crate) const INIT: &[u8] = b"init is up";

    /// The tiny guest: one byte to the serial port, then idle.
    pub(crate) fn tiny(stage: &Path) -> Self {
        Self {
            kernel: stage.join("guest"),
            bzimage: None,
            initrd: None,
            cmdline: CMDLINE.into(),
            mib: MIB,
            cpus: 1,
            transport: None,
            disks: Vec::new(),
            tap: None,
            share: None,
            options: Vec::new(),
        }
    }

    /// The tiny guest of the tests, obeying `words`.
    pub(crate) fn obedient(stage: &Path, words: &str) -> Self {
        Self { kernel: stage.join("tiny-pvh"), cmdline: words.into(), ..Self::tiny(stage) }
    }

    /// Linux as a shell on its serial port, with what `kind` of device is
    /// measured with, disk or net.
    pub(crate) fn shell(stage: &Path, kind: &str) -> Self {
        Self {
            kernel: stage.join(format!("{kind}-vmlinux")),
            initrd: Some(stage.join(format!("{kind}-initrd"))),
            cmdline: format!("{CMDLINE} quiet mitigations=off"),
            ..Self::tiny(stage)
        }
    }

    /// The minimal kernel with an init of one page. `words` come on top of
    /// the command line.
    pub(crate) fn linux(stage: &Path, vmm: Vmm, words: &[&str], then: Then) -> Self {
        let mut cmdline = vec![CMDLINE];
        cmdline.extend(vmm.extra_cmdline());
        cmdline.extend(words);
        cmdline.push("--");
        cmdline.push(match then {
            Then::Idle => "idle",
            Then::End if vmm.ends_on_restart() => "restart",
            Then::End => "poweroff",
        });
        Self {
            kernel: stage.join("vmlinux"),
            bzimage: Some(stage.join("bzImage")),
            initrd: Some(stage.join("initrd")),
            cmdline: cmdline.join(" "),
            ..Self::tiny(stage)
        }
    }
}
