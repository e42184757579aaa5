//! What this host's KVM is and can do, for `kiln check` and for warnings.

use std::fs;
use std::path::Path;

use kvm_ioctls::Cap;

use super::System;

/// What stands behind /dev/kvm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// The processor's own virtualization, through kvm_intel or kvm_amd.
    Hardware,
    /// A KVM that emulates the guest's ring-0 code instruction by instruction.
    Software,
    /// There is no /dev/kvm.
    Absent,
}

impl HostKind {
    /// Looks at this host; costs two or three file look-ups where KVM has
    /// hardware.
    pub fn detect() -> Self {
        Self::detect_under(Path::new("/"))
    }

    /// Looks at the host whose files are under `root`.
    pub(super) fn detect_under(root: &Path) -> Self {
        let module = |name| root.join("sys/module").join(name).exists();
        if !root.join("dev/kvm").exists() {
            Self::Absent
        } else if module("kvm_intel") || module("kvm_amd") {
            Self::Hardware
        } else if !module("kvm_pvm") && has_virtualization(&root.join("proc/cpuinfo")) {
            // The modules may be hidden (no /sys in a container).
            Self::Hardware
        } else {
            Self::Software
        }
    }

    /// What a person who boots a stock kernel here has to know, as a sentence.
    pub fn stock_kernel_warning(self) -> Option<&'static str> {
        match self {
            Self::Hardware | Self::Absent => None,
            Self::Software => Some(
                "this host's KVM is software (neither kvm_intel nor kvm_amd is loaded) and \
                 emulates each instruction of a guest kernel: a stock kernel spends minutes \
                 unpacking itself and will not finish booting",
            ),
        }
    }
}

/// Whether the first processor's flags name VMX or SVM.
fn has_virtualization(cpuinfo: &Path) -> bool {
    let text = fs::read_to_string(cpuinfo).unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
}

/// A capability of KVM that Kiln uses, and whether this host has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name in KVM's API, without `KVM_CAP_`.
    pub name: &'static str,
    /// What Kiln uses it for.
    pub purpose: &'static str,
    /// Whether no guest runs without it.
    pub required: bool,
    /// Whether this host has it.
    pub present: bool,
}

/// Every capability that Kiln uses: constant, name, need, purpose.
const USED: [(Cap, &str, bool, &str); 14] = [
    (Cap::UserMemory, "USER_MEMORY", true, "guest memory"),
    (Cap::Irqchip, "IRQCHIP", true, "interrupt controllers in the kernel"),
    (Cap::Irqfd, "IRQFD", true, "device interrupts without a system call each"),
    (Cap::Ioeventfd, "IOEVENTFD", true, "virtio doorbells without an exit each"),
    (Cap::ImmediateExit, "IMMEDIATE_EXIT", true, "stopping a processor that runs"),
    (Cap::SetTssAddr, "SET_TSS_ADDR", true, "real mode on Intel processors"),
    (Cap::SetIdentityMapAddr, "SET_IDENTITY_MAP_ADDR", true, "real mode on Intel processors"),
    (Cap::ExtCpuid, "EXT_CPUID", true, "processor features"),
    (Cap::MpState, "MP_STATE", true, "seeing that a guest has halted for good"),
    (Cap::Pit2, "PIT2", false, "the 8254 timer, for kernels that know no better clock"),
    (Cap::GetTscKhz, "GET_TSC_KHZ", false, "sparing guests the measuring of their clock"),
    (Cap::TscDeadlineTimer, "TSC_DEADLINE_TIMER", false, "cheap timers"),
    (Cap::Clocksource, "CLOCKSOURCE", false, "kvm-clock"),
    (Cap::SignalMsi, "SIGNAL_MSI", false, "message-signalled interrupts"),
];

impl System {
    /// Every capability that Kiln uses, the required ones first.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> {
        USED.iter().map(|&(cap, name, required, purpose)| Capability {
            name,
            purpose,
            required,
            present: self.extension(cap) > 0,
        })
    }

    /// How many vCPUs a VM may have, and how many the host recommends.
    pub fn vcpu_limits(&self) -> (u32, u32) {
        let limit = |cap| u32::try_from(self.extension(cap)).unwrap_or(0);
        (limit(Cap::MaxVcpus), limit(Cap::NrVcpus))
    }
}
