use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use vmm_core::sys::{self, uring::FileId, uring::Uring};

use crate::backend::disk::Access;

/// A file of an image, as its ring knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// What the ring calls it.
    pub(super) id: FileId,
    /// Whether reads can be tried without blocking.
    tries_reads: bool,
}

impl Known {
    /// Whether the ring hands each such transfer to a thread, because the
    /// filesystem cannot try it. `is_direct` if it passes the page cache by.
    pub(super) fn blocks(self, access: Access, is_direct: bool) -> bool {
        match access {
            _ if is_direct => false,
            Access::Read => !self.tries_reads,
            // Few filesystems can. For those a system call each is the price.
            Access::Write => true,
        }
    }
}

/// The files that a ring has been told of.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(RawFd, Known)>);

impl Files {
    /// What is known of `file`, which stays open for as long as the image.
    ///
    /// # Errors
    /// If the ring cannot have another.
    pub(super) fn known(&mut self, ring: &mut Uring, file: &File) -> io::Result<Known> {
        let number = file.as_raw_fd();
        if let Some((_, known)) = self.0.iter().find(|(other, _)| *other == number) {
            return Ok(*known);
        }
        let known = Known { id: ring.register(file)?, tries_reads: sys::tries_reads(file) };
        self.0.push((number, known));
        Ok(known)
    }
}
