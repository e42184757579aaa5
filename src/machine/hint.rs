use super::phases::{Milestone, Phases};
use crate::config::{Transport, VmConfig};
use crate::exit::Verdict;

/// What may help after `verdict` of a run that got as far as `phases` say, as a
/// sentence, for the mistakes that everybody makes once.
pub fn hint(config: &VmConfig, verdict: &Verdict, phases: &Phases) -> Option<String> {
    // A kernel that has started the command has all that takes; it may take a while to ask it.
    let unfit = match verdict {
        _ if phases.has_reached(Milestone::CommandStarted) => None,
        Verdict::CommandLost { complaint, .. } => super::command::hint(config, complaint.is_some()),
        Verdict::Panicked { .. } => super::command::hint(config, false),
        _ => None,
    };
    if unfit.is_some() {
        return unfit;
    }
    let Verdict::Panicked { line: Some(line) } = verdict else { return None };
    if line.contains("Unable to mount root fs") {
        Some(no_root(config))
    } else if line.contains("No working init found") || line.contains("Requested init") {
        Some(
            "the root file system, or the initrd, has no program to start: /init, or what init= \
             names, must be there, be executable, and have the libraries it needs"
                .into(),
        )
    } else {
        None
    }
}

fn no_root(config: &VmConfig) -> String {
    let root = config.cmdline.split_whitespace().rfind(|word| word.starts_with("root="));
    let root = root.map_or("no root= is given".into(), |root| format!("{root} is given"));
    let disks = match config.disks.len() {
        0 => "no disk is attached".into(),
        1 => "one disk is attached, /dev/vda".into(),
        n => format!("{n} disks are attached, /dev/vda and on"),
    };
    let help = if config.initrds.is_empty() {
        let bus = match config.transport {
            Transport::Mmio => "VIRTIO_MMIO",
            Transport::Pci => "VIRTIO_PCI",
        };
        format!(
            "the kernel needs {bus}, VIRTIO_BLK and the file system built in, or an initrd that \
             has them as modules"
        )
    } else {
        "an initrd was given, but the kernel found no /init in it".into()
    };
    format!("{disks}, and {root}; {help}")
}
