//! What block devices are asked by ioctl.
#![expect(unsafe_code, reason = "block devices are driven by ioctls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

// linux/fs.h, from where libc has not all.
const BLKDISCARD: libc::Ioctl = 0x1277;

/// Tells the block device `fd` that `len` bytes from byte `offset` are not
/// needed any more. Both are multiples of its block size.
///
/// # Errors
/// What the ioctl said; `EOPNOTSUPP` if the device knows no discard, `ENOTTY`
/// if it is no block device.
pub fn discard_blocks(fd: impl AsFd, offset: u64, len: u64) -> io::Result<()> {
    let range = [offset, len];
    // SAFETY: BLKDISCARD reads two 64-bit numbers, which live until the call
    // returns, and changes no memory of ours.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), BLKDISCARD, range.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
