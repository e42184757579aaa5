//! Files that a guest opens.

use std::ffi::CStr;
use std::io;

use fuse_backend_rs::abi::fuse_abi::CreateIn;
use fuse_backend_rs::api::filesystem::{Entry, FileSystem, OpenOptions};
use nix::errno::Errno;

use super::session::{Opened, SELF, Session, User, checked};

/// The flags of a guest's file that the host's shares. Others change what is
/// opened (`O_TMPFILE`, `O_PATH`), or ask for what the guest has to do itself.
const SHARED: i32 =
    libc::O_ACCMODE | libc::O_APPEND | libc::O_NONBLOCK | libc::O_SYNC | libc::O_DSYNC;

/// Nothing is to be told when a program of the guest closes the file (FUSE 7.36;
/// older drivers tell anyway).
const FOPEN_NOFLUSH: u32 = 1 << 5;

/// Those of `flags` that the host's file has, too.
pub(super) fn clean(flags: u32) -> u32 {
    flags & SHARED.cast_unsigned()
}

/// Whether opening with `flags` (`O_…`) is more than reading.
pub fn writes(flags: u32) -> bool {
    let write =
        (libc::O_TRUNC | libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();
    let mode = flags & libc::O_ACCMODE.cast_unsigned();
    mode != libc::O_RDONLY.cast_unsigned() || flags & write != 0
}

impl Session {
    /// Opens the file `inode`. Only files of bytes can be: nothing waits for a
    /// FIFO's other end, and no device of the host's is touched.
    ///
    /// # Errors
    /// EBADF if it is no file of bytes; ENFILE if the guest has too many open;
    /// ENOSYS if it needs no handle, now and ever; or what the host said.
    pub fn open(&self, inode: u64, flags: u32, fuse_flags: u32) -> io::Result<Opened> {
        let hold = self.hold(inode)?;
        self.take_handle()?;
        let opened = self.files.open(&SELF, inode, clean(flags), fuse_flags);
        let mut opened = self.opened(opened.map(|(handle, options, _)| (handle, options)))?;
        // The guest asks about open files, which may have no name any more.
        hold.keep();
        if !writes(flags) {
            opened.flags |= FOPEN_NOFLUSH;
        }
        Ok(opened)
    }

    /// Opens the directory `inode`.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_directory(&self, inode: u64) -> io::Result<Opened> {
        let hold = self.hold(inode)?;
        self.take_handle()?;
        let opened = self.opened(self.files.opendir(&SELF, inode, 0))?;
        self.folders().add(opened.handle, inode);
        hold.keep();
        Ok(opened)
    }

    fn opened(&self, opened: io::Result<(Option<u64>, OpenOptions)>) -> io::Result<Opened> {
        match opened {
            Ok((Some(handle), options)) => Ok(Opened { handle, flags: options.bits() }),
            Ok((None, options)) => {
                self.drop_handle();
                Ok(Opened { handle: 0, flags: options.bits() })
            }
            Err(error) => {
                self.drop_handle();
                Err(error)
            }
        }
    }

    /// Makes the file `name` in `parent` if there is none, and opens it.
    ///
    /// # Errors
    /// As [`Session::lookup`] and [`Session::open`].
    pub fn create(
        &self,
        user: User,
        parent: u64,
        name: &CStr,
        args: CreateIn,
    ) -> io::Result<(Entry, Opened)> {
        let name = checked(name)?;
        let special = (libc::O_TRUNC | libc::O_EXCL).cast_unsigned();
        let flags = clean(args.flags) | args.flags & special;
        let args = CreateIn { flags, mode: args.mode & 0o7777, ..args };
        let _parent = self.hold(parent)?;
        self.take_handle()?;
        let made = self.files.create(&self.context(user), parent, name, args);
        let (entry, opened) = match made {
            Ok((entry, handle, options, _)) => (Some(entry), Ok((handle, options))),
            Err(error) => (None, Err(error)),
        };
        let opened = self.opened(opened)?;
        let entry = entry.ok_or(Errno::EIO)?;
        let admitted = self.admit(entry, parent, name).and_then(|entry| {
            self.hold(entry.inode)?.keep();
            Ok(entry)
        });
        admitted.map(|entry| (entry, opened)).inspect_err(|_| {
            let closed =
                self.files.release(&SELF, entry.inode, 0, opened.handle, false, false, None);
            if closed.is_ok() {
                self.drop_handle();
            }
        })
    }

    /// Closes a file.
    ///
    /// # Errors
    /// EBADF if it is not open.
    pub fn release(&self, inode: u64, handle: u64) -> io::Result<()> {
        self.files.release(&SELF, inode, 0, handle, false, false, None)?;
        self.drop_handle();
        self.end(inode);
        Ok(())
    }

    /// Closes a directory.
    ///
    /// # Errors
    /// EBADF if it is not open.
    pub fn release_directory(&self, inode: u64, handle: u64) -> io::Result<()> {
        self.files.releasedir(&SELF, inode, 0, handle)?;
        if self.folders().remove(handle) {
            self.drop_handle();
        }
        self.drop_handle();
        self.end(inode);
        Ok(())
    }
}
