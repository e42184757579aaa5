use vmm_core::bus::AddrRange;

/// Base address registers of a function with a header of type 0.
pub const BAR_COUNT: usize = 6;

/// Bits 0 to 3 of a register for memory (PCI 3.0 §6.2.5.1): not an address.
const TYPE_64_BIT: u32 = 0b100;
const PREFETCHABLE: u32 = 0b1000;
const FLAGS: u32 = 0b1111;

/// How wide a window's address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Below 4 GiB; one register.
    Memory32,
    /// Anywhere; two registers, the upper half of the address in the second.
    Memory64,
}

/// A memory window that a function asks for (PCI 3.0 §6.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// How wide its address is.
    pub kind: BarKind,
    /// Its size in bytes: a power of two, at least 16; below 4 GiB for
    /// [`BarKind::Memory32`].
    pub size: u64,
    /// Whether reads have no side effects and writes may be merged.
    pub is_prefetchable: bool,
}

impl Bar {
    /// A window of `size` bytes below 4 GiB, not prefetchable.
    pub const fn memory32(size: u64) -> Self {
        Self { kind: BarKind::Memory32, size, is_prefetchable: false }
    }

    /// A window of `size` bytes anywhere, prefetchable.
    pub const fn memory64(size: u64) -> Self {
        Self { kind: BarKind::Memory64, size, is_prefetchable: true }
    }

    /// How many registers it takes.
    pub(super) const fn registers(self) -> usize {
        match self.kind {
            BarKind::Memory32 => 1,
            BarKind::Memory64 => 2,
        }
    }

    /// The bits that say what the window is: constant.
    pub(super) const fn flags(self) -> u32 {
        let wide = matches!(self.kind, BarKind::Memory64);
        (if wide { TYPE_64_BIT } else { 0 }) | (if self.is_prefetchable { PREFETCHABLE } else { 0 })
    }

    /// The address bits that can be written, of both registers: those from
    /// the size up. The others read as zero, which is how it is found.
    pub(super) const fn mask(self) -> u64 {
        let low = match self.kind {
            BarKind::Memory32 => 0xffff_ffff,
            BarKind::Memory64 => u64::MAX,
        };
        !(self.size - 1) & low
    }

    /// Whether the size is one that a register can express.
    pub(super) const fn is_valid(self) -> bool {
        let fits = match self.kind {
            BarKind::Memory32 => self.size <= 1 << 31,
            BarKind::Memory64 => true,
        };
        fits && self.size.is_power_of_two() && self.size > FLAGS as u64
    }

    /// The window when its registers hold these values.
    pub(super) fn window(self, low: u32, high: u32) -> Option<AddrRange> {
        let address = match self.kind {
            BarKind::Memory32 => u64::from(low & !FLAGS),
            BarKind::Memory64 => u64::from(high) << 32 | u64::from(low & !FLAGS),
        };
        AddrRange::new(address, self.size)
    }
}
