use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use nix::unistd::{Whence, lseek};

/// Whether what is written to `one` and to `other` can as well be written to
/// `one` alone: they are one pipe, socket or terminal, or one file in which the
/// next bytes have one place. False where it cannot be told.
///
/// Two openings of one file look so, too, before anything is written: what they
/// get would lie one upon the other, and nobody wants that.
pub(super) fn same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let (one, other) = (one.as_fd(), other.as_fd());
    match (fstat(one), fstat(other)) {
        (Ok(first), Ok(second)) => {
            (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
                && place(one) == place(other)
        }
        _ => false,
    }
}

/// Where the next bytes go: whether to the end, else at which offset, if there
/// is such a thing.
fn place(fd: BorrowedFd<'_>) -> (bool, Option<i64>) {
    let appends = fcntl(fd, FcntlArg::F_GETFL)
        .is_ok_and(|flags| OFlag::from_bits_retain(flags).contains(OFlag::O_APPEND));
    let offset = if appends { None } else { lseek(fd, 0, Whence::SeekCur).ok() };
    (appends, offset)
}

#[cfg(test)]
mod tests;
