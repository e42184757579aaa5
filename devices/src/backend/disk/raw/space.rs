use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use vm_memory::VolatileSlice;
use vmm_core::sys;

use super::buffer::AlignedBuffer;
use crate::backend::disk::channel::persist;

/// The largest write of zeros where the host cannot make them by itself.
const ZEROS: usize = 64 << 10;

/// How space is given back and zeroed.
#[derive(Debug)]
pub(in crate::backend::disk) struct Space {
    /// The block size of a device; a file has none.
    device_block: Option<u32>,
    /// Whether zeroed and discarded space may go back to the host.
    sparse: bool,
}

impl Space {
    pub(in crate::backend::disk) fn new(device_block: Option<u32>, sparse: bool) -> Self {
        Self { device_block, sparse }
    }

    /// Gives as much of `len` bytes of `file` back as the host can.
    ///
    /// # Errors
    /// What the host said, if it was not that it cannot.
    pub(in crate::backend::disk) fn discard(
        &self,
        file: &File,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        if !self.sparse || len == 0 {
            return Ok(());
        }
        let done = match self.device_block {
            Some(block) => {
                let (start, end) = whole_blocks(offset, len, block.into());
                if start < end { sys::discard_blocks(file, start, end - start) } else { Ok(()) }
            }
            None => allocate(file, FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, len),
        };
        done.or_else(|error| if is_unsupported(&error) { Ok(()) } else { Err(error) })
    }

    /// Makes `len` bytes of `file` zeros; a hole only if `unmap` allows it. What
    /// the host cannot do, `write` does, which may fall short.
    ///
    /// # Errors
    /// What the host said.
    pub(in crate::backend::disk) fn write_zeroes(
        &self,
        file: &File,
        offset: u64,
        len: u64,
        unmap: bool,
        write: impl Fn(&[VolatileSlice<'_>], u64) -> io::Result<usize>,
    ) -> io::Result<()> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let (from, to) = whole_blocks(offset, len, self.device_block.unwrap_or(1).into());
        if from >= to {
            return write_zeros(offset, end, write);
        }
        write_zeros(offset, from, &write)?;
        if !self.zero(file, from, to - from, unmap)? {
            write_zeros(from, to, &write)?;
        }
        write_zeros(to, end, write)
    }

    /// Has the host make zeros; false if it cannot.
    fn zero(&self, file: &File, offset: u64, len: u64, unmap: bool) -> io::Result<bool> {
        // Both work for block devices too, and drop what is cached of them.
        let hole = (unmap && self.sparse).then_some(FallocateFlags::FALLOC_FL_PUNCH_HOLE);
        for how in hole.into_iter().chain([FallocateFlags::FALLOC_FL_ZERO_RANGE]) {
            match allocate(file, how, offset, len) {
                Err(error) if is_unsupported(&error) => {}
                result => return result.map(|()| true),
            }
        }
        Ok(false)
    }
}

fn write_zeros(
    mut offset: u64,
    end: u64,
    write: impl Fn(&[VolatileSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    if offset >= end {
        return Ok(());
    }
    let mut zeros = AlignedBuffer::new(ZEROS);
    let zeros = zeros.slice();
    while offset < end {
        let here = usize::try_from(end - offset).unwrap_or(ZEROS).min(ZEROS);
        let here = zeros.subslice(0, here).map_err(io::Error::other)?;
        let moved = persist(|| write(&[here], offset))?;
        if moved == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += u64::try_from(moved).expect("a usize has 64 bits here");
    }
    Ok(())
}

/// The whole blocks among `len` bytes from `offset`, from their start to their
/// end; there are none if the start is not before the end.
fn whole_blocks(offset: u64, len: u64, block: u64) -> (u64, u64) {
    let end = offset.saturating_add(len);
    (offset.div_ceil(block).saturating_mul(block), end - end % block)
}

fn allocate(file: &File, how: FallocateFlags, offset: u64, len: u64) -> io::Result<()> {
    let signed =
        |value: u64| i64::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    Ok(fallocate(file, how | FallocateFlags::FALLOC_FL_KEEP_SIZE, signed(offset)?, signed(len)?)?)
}

/// The kernel says so in several ways: for a filesystem, a block device, and
/// an old system call filter.
fn is_unsupported(error: &io::Error) -> bool {
    [Errno::EOPNOTSUPP, Errno::ENOTTY, Errno::ENOSYS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}
