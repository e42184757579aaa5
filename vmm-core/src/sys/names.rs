//! The names in a directory, from any place in it on.
#![expect(unsafe_code, reason = "getdents64 takes a raw pointer")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes before the name of an entry (`struct linux_dirent64`).
const HEAD: usize = 19;

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'b> {
    /// The number of the inode that has it.
    pub inode: u64,
    /// Where the names behind this one begin, as an offset to seek to.
    pub next: u64,
    /// What kind of file that is (`DT_…`).
    pub kind: u8,
    /// The name.
    pub name: &'b CStr,
}

/// The names in the open directory `directory` from its offset on, as many as
/// `buffer` has room for; none at the end.
///
/// # Errors
/// What `getdents64` said; EINVAL if there is no room for one.
pub fn read_names(
    directory: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<impl Iterator<Item = Name<'_>>> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`, which is
    // exclusively borrowed until the call returns.
    let len = unsafe {
        libc::syscall(
            libc::SYS_getdents64,
            directory.as_fd().as_raw_fd(),
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let mut rest = &buffer[..len];
    Ok(std::iter::from_fn(move || {
        let (name, behind) = first(rest)?;
        rest = behind;
        Some(name)
    }))
}

/// The first entry of `bytes`, and what is behind it.
fn first(bytes: &[u8]) -> Option<(Name<'_>, &[u8])> {
    let (inode, rest) = bytes.split_first_chunk()?;
    let (next, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (kind, _) = rest.split_first()?;
    let (entry, behind) = bytes.split_at_checked(u16::from_ne_bytes(*len).into())?;
    let name = CStr::from_bytes_until_nul(entry.get(HEAD..)?).ok()?;
    let (inode, next) = (u64::from_ne_bytes(*inode), u64::from_ne_bytes(*next));
    Some((Name { inode, next, kind: *kind, name }, behind))
}
