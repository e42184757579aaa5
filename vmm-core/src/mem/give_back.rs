#![expect(unsafe_code, reason = "madvise takes a raw pointer into guest memory")]

use std::io;
use std::ops::Range;

use vm_memory::bitmap::Bitmap;
use vm_memory::{Address, GuestMemory, GuestMemoryRegion, MemoryRegionAddress, VolatileSlice};

use super::GuestRam;

/// The host's pages, in bytes.
const PAGE: u64 = 4096;

/// Gives the host back its pages behind the guest-physical addresses `range`:
/// they read as zeros from then on, and take memory again once they are
/// touched. What of the range is no RAM, or no whole page, stays as it is.
///
/// # Errors
/// What the system call said; some pages may be back then.
pub fn give_back(ram: &GuestRam, range: Range<u64>) -> io::Result<()> {
    let (start, end) = (range.start.checked_next_multiple_of(PAGE), range.end / PAGE * PAGE);
    let start = start.unwrap_or(u64::MAX);
    for region in ram.iter() {
        let base = region.start_addr().raw_value();
        let from = start.max(base);
        let to = end.min(base.saturating_add(region.len()));
        if from < to {
            let len = usize::try_from(to - from).expect("addresses have 64 bits here");
            let slice = region
                .get_slice(MemoryRegionAddress(from - base), len)
                .expect("the range was cut to the region");
            discard(&slice)?;
        }
    }
    Ok(())
}

/// Empties the pages of `slice`, which starts and ends between two pages and
/// lies in one mapping that [`super::allocate`] made.
fn discard(slice: &VolatileSlice<'_>) -> io::Result<()> {
    let guard = slice.ptr_guard_mut();
    // SAFETY: the range is whole pages inside one mapping of guest memory,
    // which the slice keeps alive. The mapping is anonymous and private, so
    // that its pages are zeros afterwards, as if the guest had written them:
    // it may at any time, and nobody has a reference into its memory.
    let done = unsafe { libc::madvise(guard.as_ptr().cast(), guard.len(), libc::MADV_DONTNEED) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    slice.bitmap().mark_dirty(0, slice.len());
    Ok(())
}

/// The guest-physical address of `slice`, if it lies in `ram`.
pub fn address_of(ram: &GuestRam, slice: &VolatileSlice<'_>) -> Option<u64> {
    let host = slice.ptr_guard().as_ptr().addr();
    ram.iter().find_map(|region| {
        let offset = host.checked_sub(region.as_ptr().addr())?;
        let is_inside = offset.checked_add(slice.len())? <= region.size();
        let offset = u64::try_from(offset).ok()?;
        is_inside.then(|| region.start_addr().raw_value() + offset)
    })
}
