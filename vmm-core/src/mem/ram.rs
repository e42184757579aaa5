use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use super::RamRegion;

/// The guest's RAM, as everything that reads or writes it holds it.
///
/// Never seen as `&[u8]`: the guest changes it at any time. Copy a structure
/// out once, check the copy, use the copy.
pub type GuestRam = GuestMemoryMmap<()>;

/// Why guest memory cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemError {
    /// The host refuses the mapping.
    #[error("the host refuses to map {size} bytes of guest memory")]
    Map {
        /// Bytes asked for.
        size: u64,
        /// What the host said.
        source: vm_memory::mmap::MmapRegionError,
    },
    /// The regions are no valid address map.
    #[error("the guest memory regions do not fit together")]
    Layout(#[source] vm_memory::GuestRegionCollectionError),
}

/// Maps anonymous, private memory for `regions`. Nothing is committed: the
/// host gives a page when the guest first touches it.
///
/// # Errors
/// [`MemError::Map`] if the host refuses the address space.
pub fn allocate(regions: &[RamRegion]) -> Result<GuestRam, MemError> {
    let mut mapped = Vec::with_capacity(regions.len());
    for region in regions {
        let size = usize::try_from(region.size).expect("addresses have 64 bits here");
        let mapping = MmapRegion::build(
            None,
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        )
        .map_err(|source| MemError::Map { size: region.size, source })?;
        let region = GuestRegionMmap::new(mapping, GuestAddress(region.base))
            .ok_or(MemError::Layout(vm_memory::GuestRegionCollectionError::MemoryRegionOverlap))?;
        mapped.push(region);
    }
    GuestRam::from_regions(mapped).map_err(MemError::Layout)
}
