use vm_memory::{Address, GuestMemory, GuestMemoryRegion};
use vmm_core::arch::x86_64::layout;
use vmm_core::mem::GuestRam;

/// A piece of the guest's address space, as its firmware would report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First guest-physical address.
    pub base: u64,
    /// Length in bytes, not 0.
    pub size: u64,
    /// What it is.
    pub kind: MemoryKind,
}

/// What a piece of the address space may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// RAM for the system to use.
    Usable,
    /// Not to be touched.
    Reserved,
}

impl MemoryKind {
    /// The code that e820, PVH and Multiboot share (ACPI 6.5 §15, table 15.1).
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Usable => 1,
            Self::Reserved => 2,
        }
    }
}

/// The address map of a machine with this `ram`, in ascending order: RAM,
/// less what a PC has between the EBDA and 1 MiB (our ACPI tables lie there),
/// the configuration space of PCI, and the pages that KVM takes for itself on
/// Intel processors.
pub fn memory_map(ram: &GuestRam) -> Vec<MemoryRange> {
    use MemoryKind::{Reserved, Usable};
    let kvm_end = layout::KVM_TSS + 3 * layout::PAGE_SIZE;
    let reserved = [
        (layout::EBDA, layout::HIGH_MEMORY),
        (layout::PCI_ECAM, layout::PCI_ECAM + layout::PCI_ECAM_SIZE),
        (layout::KVM_IDENTITY_MAP, kvm_end),
    ];
    let range = |from: u64, to: u64, kind| MemoryRange { base: from, size: to - from, kind };
    let mut map: Vec<_> = reserved.iter().map(|&(from, to)| range(from, to, Reserved)).collect();
    for region in ram.iter() {
        let (start, end) = (region.start_addr().raw_value(), region.last_addr().raw_value() + 1);
        let mut from = start;
        for (hole, hole_end) in reserved {
            if hole >= from && hole < end {
                map.push(range(from, hole, Usable));
                from = hole_end.min(end);
            }
        }
        map.push(range(from, end, Usable));
    }
    map.retain(|range| range.size != 0);
    map.sort_unstable_by_key(|range| range.base);
    map
}
