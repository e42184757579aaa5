use std::fmt;

/// A window of addresses: `len` bytes from `base`, never empty and never
/// wrapping past the end of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrRange {
    base: u64,
    len: u64,
}

impl AddrRange {
    /// The window of `len` bytes from `base`; `None` if it is empty or its
    /// last byte lies past 2⁶⁴ - 1.
    pub const fn new(base: u64, len: u64) -> Option<Self> {
        if len == 0 || base.checked_add(len - 1).is_none() {
            return None;
        }
        Some(Self { base, len })
    }

    /// The first address.
    pub const fn base(self) -> u64 {
        self.base
    }

    /// The length in bytes, at least 1.
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Always false: an empty window cannot be made.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The last address.
    pub const fn last(self) -> u64 {
        self.base + (self.len - 1)
    }

    /// Whether the two windows share an address.
    pub const fn overlaps(self, other: Self) -> bool {
        self.base <= other.last() && other.base <= self.last()
    }

    /// The offset of an access of `len` bytes at `addr`, if the whole access
    /// lies inside the window.
    pub fn offset_of(self, addr: u64, len: usize) -> Option<u64> {
        let offset = addr.checked_sub(self.base)?;
        let end = offset.checked_add(u64::try_from(len).ok()?)?;
        (end <= self.len).then_some(offset)
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x}", self.base, self.last())
    }
}
