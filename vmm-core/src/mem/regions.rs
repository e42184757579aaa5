use crate::arch::x86_64::layout::{HIGH_RAM, LOW_RAM_END};

/// A piece of RAM: `size` bytes from guest-physical address `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamRegion {
    /// First guest-physical address.
    pub base: u64,
    /// Length in bytes.
    pub size: u64,
}

/// Where `size` bytes of RAM lie: from 0 to the MMIO gap, then from 4 GiB.
pub fn plan(size: u64) -> Vec<RamRegion> {
    let low = size.min(LOW_RAM_END);
    let mut regions = vec![RamRegion { base: 0, size: low }];
    if size > low {
        regions.push(RamRegion { base: HIGH_RAM, size: size - low });
    }
    regions
}
