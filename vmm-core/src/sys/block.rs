//! What files and block devices are asked that std does not ask.
#![expect(unsafe_code, reason = "ioctls and statx take raw pointers")]

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd};

// linux/fs.h, from where libc has not all.
const BLKSSZGET: libc::Ioctl = 0x1268;
const BLKDISCARD: libc::Ioctl = 0x1277;
const BLKPBSZGET: libc::Ioctl = 0x127b;

/// What `O_DIRECT` asks of transfers, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectAlign {
    /// Of addresses; 0 if the file cannot do it.
    pub memory: u32,
    /// Of offsets and lengths; 0 if the file cannot do it.
    pub offset: u32,
}

/// What `O_DIRECT` asks of transfers on `file`; `None` if the kernel does not
/// tell: before Linux 6.1, and on some filesystems later.
///
/// # Errors
/// What `statx` said.
pub fn direct_align(file: impl AsFd) -> io::Result<Option<DirectAlign>> {
    // SAFETY: all members are numbers, for which zero bits are valid.
    let mut found: libc::statx = unsafe { zeroed() };
    // SAFETY: the path is an empty string that ends in NUL, and the kernel
    // writes one `statx`, exclusively borrowed until the call returns.
    let result = unsafe {
        libc::statx(
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            &raw mut found,
        )
    };
    check(result)?;
    let align = DirectAlign { memory: found.stx_dio_mem_align, offset: found.stx_dio_offset_align };
    Ok((found.stx_mask & libc::STATX_DIOALIGN != 0).then_some(align))
}

/// The bytes in which the block device `device` is addressed.
///
/// # Errors
/// What the ioctl said; `ENOTTY` if it is no block device.
pub fn logical_block_size(device: impl AsFd) -> io::Result<u32> {
    let mut size: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes one int, exclusively borrowed until the call returns.
    check(unsafe { libc::ioctl(device.as_fd().as_raw_fd(), BLKSSZGET, &raw mut size) })?;
    u32::try_from(size).map_err(io::Error::other)
}

/// The bytes that the block device `device` writes at once.
///
/// # Errors
/// What the ioctl said; `ENOTTY` if it is no block device.
pub fn physical_block_size(device: impl AsFd) -> io::Result<u32> {
    let mut size: libc::c_uint = 0;
    // SAFETY: BLKPBSZGET writes one unsigned int, as above.
    check(unsafe { libc::ioctl(device.as_fd().as_raw_fd(), BLKPBSZGET, &raw mut size) })?;
    Ok(size)
}

/// Tells the block device `device` that `len` bytes from byte `offset` are not
/// needed any more. Both are multiples of its block size.
///
/// # Errors
/// What the ioctl said; `EOPNOTSUPP` if the device knows no discard, `ENOTTY`
/// if it is no block device.
pub fn discard_blocks(device: impl AsFd, offset: u64, len: u64) -> io::Result<()> {
    let range = [offset, len];
    // SAFETY: BLKDISCARD reads two 64-bit numbers, which live until the call
    // returns, and changes no memory of ours.
    check(unsafe { libc::ioctl(device.as_fd().as_raw_fd(), BLKDISCARD, range.as_ptr()) })
}

/// Whether reads of `file` can be tried without blocking: if not, io_uring
/// hands each to a thread of its own.
pub fn tries_reads(file: impl AsFd) -> bool {
    let mut byte = 0_u8;
    let iovec = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: the one iovec is one byte of ours, exclusively borrowed until the
    // call returns.
    let result = unsafe {
        libc::preadv2(file.as_fd().as_raw_fd(), &raw const iovec, 1, 0, libc::RWF_NOWAIT)
    };
    result >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EOPNOTSUPP)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
