use std::fmt;

use vmm_core::bus::AddrRange;

use super::spec::bar::{FLAGS, IO_FLAGS, IO_SPACE, PREFETCHABLE, TYPE_64_BIT};

/// Base address registers of a function with a header of type 0.
pub const BAR_COUNT: usize = 6;

/// The most ports that one register may ask for (§6.2.5.1).
const IO_MAX: u64 = 256;

/// What a window is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Addresses of memory.
    Memory,
    /// Ports.
    Io,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory space",
            Self::Io => "ports",
        })
    }
}

/// Where a function decodes accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Of what.
    pub space: Space,
    /// Which of them.
    pub range: AddrRange,
}

/// How wide a window's address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Below 4 GiB; one register.
    Memory32,
    /// Anywhere; two registers, the upper half of the address in the second.
    Memory64,
    /// A port below 64 Ki; one register.
    Io,
}

/// A window that a function asks for (PCI 3.0 §6.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// How wide its address is.
    pub kind: BarKind,
    /// Its size in bytes: a power of two, at least 16; below 4 GiB for
    /// [`BarKind::Memory32`]. 4 to 256 for [`BarKind::Io`].
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

    /// A window of `size` ports.
    pub const fn io(size: u64) -> Self {
        Self { kind: BarKind::Io, size, is_prefetchable: false }
    }

    /// What it is a window of.
    pub(super) const fn space(self) -> Space {
        match self.kind {
            BarKind::Memory32 | BarKind::Memory64 => Space::Memory,
            BarKind::Io => Space::Io,
        }
    }

    /// How many registers it takes.
    pub(super) const fn registers(self) -> usize {
        match self.kind {
            BarKind::Memory32 | BarKind::Io => 1,
            BarKind::Memory64 => 2,
        }
    }

    /// The bits that say what the window is: constant.
    pub(super) const fn flags(self) -> u32 {
        let kind = match self.kind {
            BarKind::Memory32 => 0,
            BarKind::Memory64 => TYPE_64_BIT,
            BarKind::Io => IO_SPACE,
        };
        kind | (if self.is_prefetchable { PREFETCHABLE } else { 0 })
    }

    /// The address bits that can be written, of both registers: those from
    /// the size up. The others read as zero, which is how it is found.
    pub(super) const fn mask(self) -> u64 {
        let low = match self.kind {
            BarKind::Memory32 => 0xffff_ffff,
            BarKind::Memory64 => u64::MAX,
            // PCs have no more ports.
            BarKind::Io => 0xffff,
        };
        !(self.size - 1) & low
    }

    /// Whether the size is one that a register can express.
    pub(super) const fn is_valid(self) -> bool {
        let fits = match self.kind {
            BarKind::Memory32 => self.size > FLAGS as u64 && self.size <= 1 << 31,
            BarKind::Memory64 => self.size > FLAGS as u64,
            BarKind::Io => {
                self.size > IO_FLAGS as u64 && self.size <= IO_MAX && !self.is_prefetchable
            }
        };
        fits && self.size.is_power_of_two()
    }

    /// The window when its registers hold these values.
    pub(super) fn window(self, low: u32, high: u32) -> Option<Window> {
        let address = match self.kind {
            BarKind::Memory32 => u64::from(low & !FLAGS),
            BarKind::Memory64 => u64::from(high) << 32 | u64::from(low & !FLAGS),
            BarKind::Io => u64::from(low & !IO_FLAGS),
        };
        Some(Window { space: self.space(), range: AddrRange::new(address, self.size)? })
    }
}
