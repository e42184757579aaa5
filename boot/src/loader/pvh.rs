//! Xen PVH: the information that EBX points at.
//!
//! Source: Xen, docs/misc/pvh.pandoc and
//! xen/include/public/arch-x86/hvm/start_info.h.

use linux_loader::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};
use vmm_core::arch::x86_64::layout;
use vmm_core::mem::{GuestRam, RamRegion};

use crate::linux::memory_map;

/// `XEN_HVM_START_MAGIC_VALUE`: "xEn3" with bit 7 of the E set.
const MAGIC: u32 = 0x336e_c578;
const MODULES: u64 = layout::PVH_START_INFO + 0x40;
const MEMORY_MAP: u64 = MODULES + 0x20;
/// What fits between [`MEMORY_MAP`] and the end of the page.
const MEMORY_MAP_CAPACITY: usize = (0x1000 - 0x60) / size_of::<hvm_memmap_table_entry>();

/// Writes the start information, the memory map and the initrd as module;
/// returns the address.
pub(super) fn write(
    ram: &GuestRam,
    initrd: Option<RamRegion>,
    rsdp: GuestAddress,
) -> Result<u64, GuestMemoryError> {
    let map = memory_map(ram);
    assert!(map.len() <= MEMORY_MAP_CAPACITY, "an address map has a handful of ranges");
    let mut address = GuestAddress(MEMORY_MAP);
    for range in &map {
        let entry = hvm_memmap_table_entry {
            addr: range.base,
            size: range.size,
            type_: range.kind.code(),
            reserved: 0,
        };
        ram.write_obj(entry, address)?;
        address.0 += size_of::<hvm_memmap_table_entry>() as u64;
    }
    if let Some(initrd) = initrd {
        let module =
            hvm_modlist_entry { paddr: initrd.base, size: initrd.size, ..Default::default() };
        ram.write_obj(module, GuestAddress(MODULES))?;
    }
    let start_info = hvm_start_info {
        magic: MAGIC,
        version: 1,
        nr_modules: initrd.is_some().into(),
        modlist_paddr: initrd.map_or(0, |_| MODULES),
        cmdline_paddr: layout::CMDLINE,
        rsdp_paddr: rsdp.0,
        memmap_paddr: MEMORY_MAP,
        memmap_entries: u32::try_from(map.len()).expect("checked above"),
        ..Default::default()
    };
    ram.write_obj(start_info, GuestAddress(layout::PVH_START_INFO))?;
    Ok(layout::PVH_START_INFO)
}
