#![expect(unsafe_code, reason = "kvm-ioctls has no call for statistics")]

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;

use kvm_bindings::{
    KVM_STATS_TYPE_CUMULATIVE, KVM_STATS_TYPE_MASK, KVM_STATS_UNIT_MASK, KVM_STATS_UNIT_NONE, KVMIO,
};
use kvm_ioctls::VcpuFd;
use vmm_sys_util::ioctl::ioctl;
use vmm_sys_util::ioctl_io_nr;

ioctl_io_nr!(KVM_GET_STATS_FD, KVMIO, 0xce);

/// The counters that tell what a guest does, by KVM's names.
const NAMES: [&str; 12] = [
    "exits",
    "io_exits",
    "mmio_exits",
    "halt_exits",
    "irq_exits",
    "irq_window_exits",
    "signal_exits",
    "request_irq_exits",
    "hypercalls",
    "insn_emulation",
    "irq_injections",
    "nmi_injections",
];

/// No processor has more statistics than fit into this many bytes.
const SIZE_MAX: u32 = 256 << 10;

/// How often KVM has done what with a vCPU; most of it by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvmCounts([u64; NAMES.len()]);

impl KvmCounts {
    /// How often for each of KVM's counters, with its name.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.0)
    }

    /// How often since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|name| self.0[name].saturating_sub(earlier.0[name])))
    }
}

/// KVM's own statistics of one vCPU (api.rst, "KVM_GET_STATS_FD").
pub struct VcpuStats {
    file: File,
    /// Where in the file each counter is; `None` for one that this KVM has not.
    places: [Option<u64>; NAMES.len()],
}

impl VcpuStats {
    /// Opens those of `vcpu`.
    pub(super) fn open(vcpu: &VcpuFd) -> io::Result<Self> {
        // SAFETY: the descriptor is a vCPU's as long as `vcpu` is borrowed, and
        // the call takes no argument.
        let fd = unsafe { ioctl(vcpu, KVM_GET_STATS_FD()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: KVM has just made this descriptor, and nothing else owns it.
        let file = unsafe { File::from_raw_fd(fd) };
        let places = places(&file)?;
        Ok(Self { file, places })
    }

    /// What they are now; a counter that cannot be read is 0.
    pub fn read(&self) -> KvmCounts {
        KvmCounts(self.places.map(|place| {
            let mut value = [0; 8];
            let read = place.map(|place| self.file.read_exact_at(&mut value, place));
            if matches!(read, Some(Ok(()))) { u64::from_ne_bytes(value) } else { 0 }
        }))
    }
}

/// Finds the counters by their descriptions.
fn places(file: &File) -> io::Result<[Option<u64>; NAMES.len()]> {
    /// Bytes of a description before its name.
    const FIXED: u32 = 16;
    let mut header = [0; 24];
    file.read_exact_at(&mut header, 0)?;
    let field = |bytes: &[u8], at: usize| {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("it has four bytes"))
    };
    let (name_size, count) = (field(&header, 4), field(&header, 8));
    let (descriptions, data) = (field(&header, 16), field(&header, 20));
    let step = FIXED.saturating_add(name_size);
    let size = step.saturating_mul(count);
    if size > SIZE_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let bytes = |size: u32| usize::try_from(size).expect("sizes have 64 bits here");
    let mut all = vec![0; bytes(size)];
    file.read_exact_at(&mut all, descriptions.into())?;
    let mut places = [None; NAMES.len()];
    for description in all.chunks_exact(bytes(step)) {
        let flags = field(description, 0);
        let is_counter = flags & KVM_STATS_TYPE_MASK == KVM_STATS_TYPE_CUMULATIVE
            && flags & KVM_STATS_UNIT_MASK == KVM_STATS_UNIT_NONE;
        let name = description[bytes(FIXED)..].split(|byte| *byte == 0).next().unwrap_or_default();
        let known = NAMES.iter().position(|known| known.as_bytes() == name);
        if let Some(known) = known.filter(|_| is_counter) {
            places[known] = Some(u64::from(data) + u64::from(field(description, 8)));
        }
    }
    Ok(places)
}
