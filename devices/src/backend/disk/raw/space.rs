use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use vmm_core::sys;

use super::buffer::AlignedBuffer;
use crate::backend::disk::channel::persist;

/// The largest write of zeros where the host cannot make them by itself.
const ZEROS: usize = 64 << 10;

/// How space is given back and zeroed.
#[derive(Debug)]
pub(in crate::backend::disk) struct Space {
    is_device: bool,
    /// Whether zeroed and discarded space may go back to the host.
    sparse: bool,
}

impl Space {
    pub(in crate::backend::disk) fn new(is_device: bool, sparse: bool) -> Self {
        Self { is_device, sparse }
    }

    /// Gives `len` bytes of `file` back, if the host can.
    ///
    /// # Errors
    /// What the host said, if it was not that it cannot.
    pub(in crate::backend::disk) fn discard(
        &self,
        file: &File,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        if !self.sparse {
            return Ok(());
        }
        let done = if self.is_device {
            sys::discard_blocks(file, offset, len)
        } else {
            allocate(file, FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, len)
        };
        done.or_else(|error| if is_unsupported(&error) { Ok(()) } else { Err(error) })
    }

    /// Makes `len` bytes of `file` zeros; a hole only if `unmap` allows it.
    ///
    /// # Errors
    /// What the host said.
    pub(in crate::backend::disk) fn write_zeroes(
        &self,
        file: &File,
        offset: u64,
        len: u64,
        unmap: bool,
    ) -> io::Result<()> {
        // Both work for block devices too, and drop what is cached of them.
        let hole = (unmap && self.sparse).then_some(FallocateFlags::FALLOC_FL_PUNCH_HOLE);
        for how in hole.into_iter().chain([FallocateFlags::FALLOC_FL_ZERO_RANGE]) {
            match allocate(file, how, offset, len) {
                Err(error) if is_unsupported(&error) => {}
                result => return result,
            }
        }
        write_zeros(file, offset, len)
    }
}

fn allocate(file: &File, how: FallocateFlags, offset: u64, len: u64) -> io::Result<()> {
    let (offset, len) = (signed(offset)?, signed(len)?);
    Ok(fallocate(file, how | FallocateFlags::FALLOC_FL_KEEP_SIZE, offset, len)?)
}

fn signed(value: u64) -> io::Result<i64> {
    value.try_into().map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The kernel says so in several ways: for a filesystem, a block device, and
/// an old system call filter.
fn is_unsupported(error: &io::Error) -> bool {
    [Errno::EOPNOTSUPP, Errno::ENOTTY, Errno::ENOSYS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}

fn write_zeros(file: &File, mut offset: u64, len: u64) -> io::Result<()> {
    let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
    let mut zeros = AlignedBuffer::new(ZEROS);
    let zeros = zeros.slice();
    while offset < end {
        let here = usize::try_from(end - offset).unwrap_or(ZEROS).min(ZEROS);
        let here = zeros.subslice(0, here).map_err(io::Error::other)?;
        let moved = persist(|| sys::write_at(file, &[here], offset))?;
        if moved == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += u64::try_from(moved).expect("a usize has 64 bits here");
    }
    Ok(())
}
