//! Where in guest memory a kernel and its initrds may lie.

use std::ops::Range;

use vm_memory::{Address, GuestAddress, GuestMemory, GuestMemoryRegion};
use vmm_core::arch::x86_64::layout;
use vmm_core::mem::{GuestRam, RamRegion};

use super::error::LoadError;
use super::image::Protocol;
use super::kernel::Kernel;
use crate::linux::Initrd;

/// Linux sees all initrds as one; the archives in it are 4-byte aligned
/// (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
const LINUX_ALIGNMENT: u64 = 4;

/// Six pages: PML4, PDPT and four page directories.
const PAGE_TABLES_END: u64 = layout::PAGE_TABLES + 6 * layout::PAGE_SIZE;

/// End of the RAM that starts at address 0.
pub(super) fn low_ram_end(ram: &GuestRam) -> u64 {
    ram.find_region(GuestAddress(0)).map_or(0, |region| region.last_addr().raw_value() + 1)
}

/// Checks that every segment lies in free memory.
///
/// Returns the end of the memory that the kernel occupies from 1 MiB on.
pub(super) fn kernel(kernel: &Kernel, ram_end: u64) -> Result<u64, LoadError> {
    let taken = taken(&kernel.image.protocol);
    let mut kernel_end = layout::HIGH_MEMORY;
    for segment in &kernel.image.segments {
        let (address, end) = (segment.address, segment.end());
        let path = || kernel.path.clone();
        let overlaps = |taken: &Range<u64>| address < taken.end && taken.start < end;
        if end > layout::LOW_RAM_END || taken.iter().any(overlaps) {
            return Err(LoadError::KernelMisplaced { path: path(), address, end });
        }
        if end > ram_end {
            return Err(LoadError::KernelTooBig { path: path(), end, ram: ram_end });
        }
        kernel_end = kernel_end.max(end);
    }
    Ok(kernel_end)
}

/// What is taken of the memory below 1 MiB when a kernel of this protocol is
/// entered.
fn taken(protocol: &Protocol) -> [Range<u64>; 4] {
    let information = match protocol {
        Protocol::BzImage(_) | Protocol::Linux64 => layout::ZERO_PAGE..PAGE_TABLES_END,
        Protocol::Pvh => layout::PVH_START_INFO..layout::ZERO_PAGE,
        Protocol::Multiboot => layout::MULTIBOOT_INFO..layout::CMDLINE,
    };
    [
        // Vectors and BIOS data of real mode, the descriptor table.
        0..layout::PAGE_SIZE,
        information,
        layout::CMDLINE..layout::CMDLINE + layout::CMDLINE_CAPACITY,
        layout::EBDA..layout::HIGH_MEMORY,
    ]
}

/// Finds room for the initrds, one region each: at the top of low RAM, where
/// they are in nobody's way, in one piece for Linux. For Multiboot right
/// after the kernel, each on a page: small systems map only little memory.
pub(super) fn initrds(
    kernel: &Kernel,
    initrds: &[Initrd],
    kernel_end: u64,
    ram_end: u64,
) -> Result<Vec<RamRegion>, LoadError> {
    let (alignment, limit, low) = match &kernel.image.protocol {
        Protocol::BzImage(header) => {
            (LINUX_ALIGNMENT, u64::from(header.initrd_addr_max) + 1, false)
        }
        Protocol::Linux64 | Protocol::Pvh => (LINUX_ALIGNMENT, layout::LOW_RAM_END, false),
        Protocol::Multiboot => (layout::PAGE_SIZE, layout::LOW_RAM_END, true),
    };
    let mut regions = Vec::with_capacity(initrds.len());
    let mut size = 0;
    for initrd in initrds {
        let base = align_up(size, alignment);
        regions.push(RamRegion { base, size: initrd.size() });
        size = base.saturating_add(initrd.size());
    }

    let bottom = align_up(kernel_end, layout::PAGE_SIZE);
    let taken = align_up(size, layout::PAGE_SIZE);
    let room_below = |top: u64| (top & !(layout::PAGE_SIZE - 1)).saturating_sub(bottom);
    let room = room_below(limit.min(ram_end));
    if taken > room {
        let most = room_below(limit.min(layout::LOW_RAM_END));
        return Err(if size <= most {
            LoadError::InitrdTooBig { size, room, needed: bottom + taken }
        } else {
            LoadError::InitrdLimit { path: kernel.path.clone(), size, room: most }
        });
    }
    let base = if low { bottom } else { bottom + (room - taken) };
    for region in &mut regions {
        region.base += base;
    }
    Ok(regions)
}

/// The next multiple, or all ones if there is none below 2⁶⁴: that fits
/// nowhere either.
fn align_up(value: u64, alignment: u64) -> u64 {
    value.checked_next_multiple_of(alignment).unwrap_or(u64::MAX)
}
