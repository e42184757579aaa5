//! Names in directories.

use std::ffi::{CStr, CString};
use std::io;

use fuse_backend_rs::api::filesystem::{DirEntry, Entry, FileSystem};
use nix::errno::Errno;

use super::link::link;
use super::session::{SELF, Session, User, checked};

/// How often a directory is read again of which a name has just gone.
const TRIES: usize = 8;

impl Session {
    /// Makes a directory.
    ///
    /// # Errors
    /// As [`Session::lookup`].
    pub fn make_directory(
        &self,
        user: User,
        parent: u64,
        name: &CStr,
        mode: u32,
        umask: u32,
    ) -> io::Result<Entry> {
        let (name, context) = (checked(name)?, self.context(user));
        let _hold = self.hold(parent)?;
        let made = self.files.mkdir(&context, parent, name, mode & 0o7777, umask)?;
        self.admit(made, parent, name)
    }

    /// Makes a file, FIFO or socket. Devices are the host's to make.
    ///
    /// # Errors
    /// EPERM for others; or as [`Session::lookup`].
    pub fn make_node(
        &self,
        user: User,
        parent: u64,
        name: &CStr,
        mode: u32,
        umask: u32,
    ) -> io::Result<Entry> {
        let kind = mode & libc::S_IFMT;
        if ![0, libc::S_IFREG, libc::S_IFIFO, libc::S_IFSOCK].contains(&kind) {
            return Err(Errno::EPERM.into());
        }
        let (name, context) = (checked(name)?, self.context(user));
        let _hold = self.hold(parent)?;
        self.admit(self.files.mknod(&context, parent, name, mode, 0, umask)?, parent, name)
    }

    /// Makes a symbolic link to `target`, which may be anything.
    ///
    /// # Errors
    /// As [`Session::lookup`].
    pub fn make_symlink(
        &self,
        user: User,
        parent: u64,
        name: &CStr,
        target: &CStr,
    ) -> io::Result<Entry> {
        let (name, context) = (checked(name)?, self.context(user));
        let _hold = self.hold(parent)?;
        self.admit(self.files.symlink(&context, target, parent, name)?, parent, name)
    }

    /// Makes `name` in `parent` another name of `inode`.
    ///
    /// # Errors
    /// As [`Session::lookup`].
    pub fn make_link(&self, inode: u64, parent: u64, name: &CStr) -> io::Result<Entry> {
        let name = checked(name)?;
        let _holds = [self.hold(inode)?, self.hold(parent)?];
        match self.files.link(&SELF, inode, parent, name) {
            // What hosts say to those who may not link a descriptor.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                link(&self.files, inode, parent, name)?;
                self.lookup(parent, name)
            }
            made => self.admit(made?, parent, name),
        }
    }

    /// Takes a name that is no directory's away.
    ///
    /// # Errors
    /// As [`Session::lookup`].
    pub fn unlink(&self, parent: u64, name: &CStr) -> io::Result<()> {
        let name = checked(name)?;
        let _hold = self.hold(parent)?;
        self.files.unlink(&SELF, parent, name)
    }

    /// Takes an empty directory away.
    ///
    /// # Errors
    /// As [`Session::lookup`].
    pub fn remove_directory(&self, parent: u64, name: &CStr) -> io::Result<()> {
        let name = checked(name)?;
        let _hold = self.hold(parent)?;
        self.files.rmdir(&SELF, parent, name)
    }

    /// Gives what is `from` in a directory the name `to` in another
    /// (`RENAME_…` in `flags`).
    ///
    /// # Errors
    /// As [`Session::lookup`].
    pub fn rename(&self, from: (u64, &CStr), to: (u64, &CStr), flags: u32) -> io::Result<()> {
        let (from_name, to_name) = (checked(from.1)?, checked(to.1)?);
        // A whiteout is a device file.
        if flags & libc::RENAME_WHITEOUT != 0 {
            return Err(Errno::EINVAL.into());
        }
        let _holds = [self.hold(from.0)?, self.hold(to.0)?];
        self.files.rename(&SELF, from.0, from_name, to.0, to_name, flags)?;
        self.note_move(to.0, to_name);
        if flags & libc::RENAME_EXCHANGE != 0 {
            self.note_move(from.0, from_name);
        }
        Ok(())
    }

    /// Reads a directory from `offset` on, `size` bytes of the host's entries at
    /// most. `take` gets each entry, and what it is if `with_inodes` says so and
    /// there is room in the guest's table: then the guest is told of it. It says
    /// whether it took the entry; the first that it did not is the last.
    ///
    /// # Errors
    /// What the host said.
    pub fn read_directory(
        &self,
        inode: u64,
        handle: u64,
        (offset, size): (u64, u32),
        with_inodes: bool,
        take: &mut dyn FnMut(DirEntry<'_>, Option<Entry>) -> bool,
    ) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        if let Some(folder) = self.folder(inode, handle) {
            return self.read_folder(inode, &folder, (offset, size), with_inodes, take);
        }
        let mut tries = TRIES;
        loop {
            let mut has_any = false;
            let result = if with_inodes {
                self.read_with_inodes(inode, handle, (offset, size), &mut |name, entry| {
                    has_any = true;
                    take(name, entry)
                })
            } else {
                self.files.readdir(&SELF, inode, handle, size, offset, &mut |name| {
                    has_any = true;
                    Ok(usize::from(take(name, None)))
                })
            };
            match result {
                // The library looks each name up, and gives up at one that is
                // gone since it was read.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) && !has_any => {
                    tries -= 1;
                    if tries == 0 {
                        return Err(error);
                    }
                }
                // Nor does it say so if it had but the two dots before it.
                Ok(()) if !has_any && tries == TRIES => tries -= 1,
                result => return result,
            }
        }
    }

    fn read_with_inodes(
        &self,
        inode: u64,
        handle: u64,
        (offset, size): (u64, u32),
        take: &mut dyn FnMut(DirEntry<'_>, Option<Entry>) -> bool,
    ) -> io::Result<()> {
        self.files.readdirplus(&SELF, inode, handle, size, offset, &mut |name, entry| {
            let found = entry.inode;
            let added = CString::new(name.name)
                .map_err(|_| Errno::EINVAL)
                .and_then(|name| self.table().add(&self.files, found, inode, &name));
            let is_added = added.is_ok();
            let is_taken = take(name, added.ok().map(|generation| Entry { generation, ..entry }));
            // The library forgets what was not taken.
            match (is_added, is_taken) {
                (true, false) => self.table().take_back(&self.files, found),
                (false, true) => self.files.forget(&SELF, found, 1),
                _ => (),
            }
            Ok(usize::from(is_taken))
        })
    }
}
