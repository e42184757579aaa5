use std::io;

use kvm_bindings::{CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::Kvm;

use super::{Vm, VmError};

/// Why /dev/kvm cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// There is no such device.
    #[error(
        "/dev/kvm does not exist: load the kvm_intel or kvm_amd module, enable virtualization in \
         the firmware, or give this machine nested virtualization"
    )]
    Absent,
    /// The device may not be opened.
    #[error(
        "/dev/kvm may not be opened by this user: add it to the group that owns the device \
         (`sudo usermod -aG kvm $USER`, then log in again)"
    )]
    Denied,
    /// Another hypervisor has the processor.
    #[error(
        "/dev/kvm is busy: another hypervisor (VirtualBox, VMware) has the processor; stop its \
         machines first"
    )]
    Busy,
    /// Some other failure.
    #[error("/dev/kvm cannot be opened")]
    Open(#[source] io::Error),
    /// The interface is not the one that every kernel since 2.6.22 has.
    #[error("/dev/kvm speaks API version {0}, not {KVM_API_VERSION}")]
    ApiVersion(i32),
    /// The processor features cannot be read.
    #[error("KVM does not say which processor features it supports")]
    Cpuid(#[source] io::Error),
}

impl SystemError {
    /// The reason in `errno`, from opening /dev/kvm.
    pub fn from_open(errno: i32) -> Self {
        match errno {
            libc::ENOENT | libc::ENXIO | libc::ENODEV => Self::Absent,
            libc::EACCES | libc::EPERM => Self::Denied,
            libc::EBUSY => Self::Busy,
            other => Self::Open(io::Error::from_raw_os_error(other)),
        }
    }
}

/// An open /dev/kvm.
pub struct System {
    fd: Kvm,
}

impl System {
    /// Opens /dev/kvm.
    ///
    /// # Errors
    /// A [`SystemError`] that says why not and what helps.
    pub fn open() -> Result<Self, SystemError> {
        let fd = Kvm::new().map_err(|e| SystemError::from_open(e.errno()))?;
        let version = fd.get_api_version();
        if u32::try_from(version) != Ok(KVM_API_VERSION) {
            return Err(SystemError::ApiVersion(version));
        }
        Ok(Self { fd })
    }

    /// The CPUID leaves that this host's KVM can give a guest. Slow (0.4 ms):
    /// ask once.
    ///
    /// # Errors
    /// [`SystemError::Cpuid`] if KVM refuses.
    pub fn supported_cpuid(&self) -> Result<CpuId, SystemError> {
        self.fd.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(|e| SystemError::Cpuid(e.into()))
    }

    /// Makes a VM without memory, interrupt chip or vCPUs.
    ///
    /// # Errors
    /// [`VmError`] if KVM refuses.
    pub fn create_vm(&self) -> Result<Vm, VmError> {
        Vm::create(&self.fd)
    }

    /// What KVM_CHECK_EXTENSION says: 0 for absent, else 1 or a number.
    pub(super) fn extension(&self, cap: kvm_ioctls::Cap) -> i32 {
        self.fd.check_extension_int(cap)
    }
}
