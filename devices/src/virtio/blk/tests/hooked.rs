use std::io;
use std::sync::Arc;

use vm_memory::VolatileSlice;

use super::*;
use crate::backend::disk::{Access, Gate, Geometry, Place, Stable};

/// What a [`Hooked`] image is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read(u64),
    Write(u64),
    Flush,
}

/// An image that calls somebody before it does anything.
pub(super) struct Hooked<F> {
    pub(super) disk: MemoryDisk,
    pub(super) hook: F,
}

impl<F: Fn(Call) + Send + Sync> DiskImage for Hooked<F> {
    fn name(&self) -> String {
        self.disk.name()
    }

    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn is_read_only(&self) -> bool {
        self.disk.is_read_only()
    }

    fn place(&self, offset: u64, len: u64, access: Access) -> io::Result<(Place<'_>, u64)> {
        self.disk.place(offset, len, access)
    }

    fn gate(&self) -> Option<&Arc<Gate>> {
        self.disk.gate()
    }

    fn stable(&self) -> Stable<'_> {
        self.disk.stable()
    }

    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        (self.hook)(Call::Read(offset));
        self.disk.read_at(pieces, offset)
    }

    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        (self.hook)(Call::Write(offset));
        self.disk.write_at(pieces, offset)
    }

    fn flush(&self) -> io::Result<()> {
        (self.hook)(Call::Flush);
        self.disk.flush()
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        self.disk.write_zeroes(offset, len, unmap)
    }

    fn refresh(&self) -> io::Result<bool> {
        self.disk.refresh()
    }
}
