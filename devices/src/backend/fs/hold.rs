//! Inodes that are in use, and so have a descriptor.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use fuse_backend_rs::api::filesystem::{Entry, FileSystem};
use fuse_backend_rs::passthrough::PassthroughFs;
use nix::errno::Errno;

use super::session::{SELF, Session};
use super::table::{Holder, Identity, Table};

impl Holder for PassthroughFs {
    fn identity(&self, node: u64) -> Option<Identity> {
        let (attributes, _) = self.getattr(&SELF, node, None).ok()?;
        let kind = attributes.st_mode & libc::S_IFMT;
        // When it was made is told by a path only. Whatever that leads to, its time
        // is believed if it is the same inode.
        let found = self.readlinkat_proc_file(node).and_then(fs::symlink_metadata);
        let is_it = |found: &fs::Metadata| {
            (found.dev(), found.ino()) == (attributes.st_dev, attributes.st_ino)
        };
        let made = found.ok().filter(is_it).and_then(|found| found.created().ok());
        Some(match made.and_then(|made| made.duration_since(UNIX_EPOCH).ok()) {
            Some(made) => {
                let seconds = i64::try_from(made.as_secs()).ok()?;
                Identity::Made(kind, seconds, made.subsec_nanos().into())
            }
            None => Identity::Changed(kind, attributes.st_ctime, attributes.st_ctime_nsec),
        })
    }

    fn let_go(&self, node: u64, times: u64) {
        self.forget(&SELF, node, times);
    }
}

/// An inode that is in use: it has a descriptor until this is dropped.
pub(super) struct Hold<'s> {
    session: &'s Session,
    node: u64,
}

impl Hold<'_> {
    /// Has the inode stay in use until [`Session::end`].
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.session.end(self.node);
    }
}

impl Session {
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `node` be in use: what the library is asked about it, it knows.
    ///
    /// # Errors
    /// EBADF if the guest does not know it; ESTALE if it was let go, and is not
    /// any more where it was; ENFILE if too many are in use; or what the host said.
    pub(super) fn hold(&self, node: u64) -> io::Result<Hold<'_>> {
        let is_held = self.table().begin(node)?;
        let hold = Hold { session: self, node };
        if !is_held {
            self.bring_back(node)?;
        }
        Ok(hold)
    }

    /// See [`Hold::keep`].
    pub(super) fn end(&self, node: u64) {
        self.table().end(&self.files, node);
    }

    /// Looks `node` up again, from where something is held on.
    fn bring_back(&self, node: u64) -> io::Result<()> {
        let (above, way) = self.table().way(node);
        let mut above = Hold { session: self, node: above };
        for node in way {
            let name = self.table().name(node, above.node).ok_or(Errno::ESTALE)?;
            let found = self.files.lookup(&SELF, above.node, &name).map_err(gone)?.inode;
            let is_it = if found == node {
                self.table().found(&self.files, node)
            } else {
                Err(Errno::ESTALE)
            };
            is_it.inspect_err(|_| self.files.forget(&SELF, found, 1))?;
            above = Hold { session: self, node };
        }
        Ok(())
    }

    /// Lets the guest know of what the library found as `name` in `parent`, which is
    /// in use, if there is room.
    pub(super) fn admit(&self, entry: Entry, parent: u64, name: &CStr) -> io::Result<Entry> {
        let added = self.table().add(&self.files, entry.inode, parent, name);
        let generation = added.inspect_err(|_| self.files.forget(&SELF, entry.inode, 1))?;
        Ok(Entry { generation, ..entry })
    }

    /// Notes what has got the name `name` in `parent`, which is in use.
    pub(super) fn note_move(&self, parent: u64, name: &CStr) {
        // The host may be quicker: then that is noted, or nothing.
        if let Ok(entry) = self.files.lookup(&SELF, parent, name) {
            self.table().moved(&self.files, entry.inode, parent, name);
            self.files.forget(&SELF, entry.inode, 1);
        }
    }
}

/// The error of a name that has gone, where an inode was to be.
fn gone(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Errno::ESTALE.into(),
        _ => error,
    }
}
