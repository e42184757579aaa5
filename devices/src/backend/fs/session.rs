use std::ffi::CStr;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fuse_backend_rs::abi::fuse_abi::{Attr, AttrOut, FsOptions, Kstatfs, SetattrIn};
use fuse_backend_rs::abi::fuse_abi::{FATTR_FH, SetattrValid};
use fuse_backend_rs::api::filesystem::{Context, Entry, FileSystem};
use fuse_backend_rs::api::filesystem::{GetxattrReply, ListxattrReply};
use fuse_backend_rs::passthrough::PassthroughFs;
use nix::errno::Errno;
use nix::unistd::geteuid;
use vm_memory::VolatileSlice;

use super::folder::Folders;
use super::memory::Pieces;
use super::open::clean;
use super::share::{Limits, ShareOptions};
use super::table::Table;

/// The longest value of an extended attribute, and list of their names
/// (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MAX_XATTR: u32 = 1 << 16;

/// Who in the guest asks. Only a Kiln that is root's minds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What became of an open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the guest calls it from now on; 0 if that is not needed.
    pub handle: u64,
    /// What the guest may do with it (`FOPEN_…`).
    pub flags: u32,
}

/// Where to write, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteAt {
    /// The first byte's offset in the file.
    pub offset: u64,
    /// The flags that the file has in the guest (`O_…`).
    pub flags: u32,
    /// Whether the file loses its special rights (`FUSE_WRITE_KILL_SUIDGID`).
    pub fuse_flags: u32,
}

/// What a value is for that may only be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The value.
    Bytes(Vec<u8>),
    /// Its length in bytes.
    Length(u32),
}

/// A share as one mount of it sees it.
///
/// Every inode that a method takes must have been given out and not
/// forgotten, and every handle not released: others are EBADF. Whether writing
/// is allowed is the caller's to ask, before; names are checked here.
pub struct Session {
    pub(super) files: PassthroughFs,
    pub(super) table: Mutex<Table>,
    pub(super) folders: Mutex<Folders>,
    pub(super) limits: Limits,
    pub(super) handles: AtomicUsize,
    pub(super) read_only: bool,
    believe: Duration,
    is_root: bool,
}

/// The library knows the caller; only root can act as somebody else.
pub(super) const SELF: Context = Context { uid: 0, gid: 0, pid: 0 };

impl Session {
    pub(super) fn new(files: PassthroughFs, options: ShareOptions, believe: Duration) -> Self {
        Self {
            files,
            table: Mutex::new(Table::new(options.limits)),
            folders: Mutex::default(),
            limits: options.limits,
            handles: AtomicUsize::new(0),
            read_only: options.read_only,
            believe,
            is_root: geteuid().is_root(),
        }
    }

    /// Agrees with the guest on features: which of those that it is `capable`
    /// of it should use, by the bits of FUSE_INIT.
    ///
    /// # Errors
    /// What the host said.
    pub fn agree(&self, capable: u64) -> io::Result<u64> {
        let capable = FsOptions::from_bits_truncate(capable);
        let wanted = self.files.init(capable - FsOptions::PERFILE_DAX)?
            | FsOptions::ASYNC_READ
            | FsOptions::BIG_WRITES
            | FsOptions::AUTO_INVAL_DATA
            | FsOptions::ASYNC_DIO
            | FsOptions::PARALLEL_DIROPS
            | FsOptions::MAX_PAGES
            | FsOptions::CACHE_SYMLINKS;
        Ok((wanted & capable).bits())
    }

    /// Whose files the guest makes.
    pub(super) fn context(&self, user: User) -> Context {
        if self.is_root { Context { uid: user.uid, gid: user.gid, pid: 0 } } else { SELF }
    }

    /// Looks up `name` in the directory `parent`.
    ///
    /// # Errors
    /// EINVAL if that is no name; ENFILE if the guest knows too much; ESTALE if
    /// the host moved the directory, which was not used for long; or what the host
    /// said.
    pub fn lookup(&self, parent: u64, name: &CStr) -> io::Result<Entry> {
        let name = checked(name)?;
        let _hold = self.hold(parent)?;
        self.admit(self.files.lookup(&SELF, parent, name)?, parent, name)
    }

    /// Takes back what the guest was told of `inode`, `times` times.
    pub fn forget(&self, inode: u64, times: u64) {
        self.table().remove(&self.files, inode, times);
    }

    /// The attributes of `inode`.
    ///
    /// # Errors
    /// What the host said.
    pub fn attributes(&self, inode: u64, handle: Option<u64>) -> io::Result<AttrOut> {
        let _hold = self.hold(inode)?;
        let (attributes, _) = self.files.getattr(&SELF, inode, handle)?;
        Ok(self.answer(attributes))
    }

    fn answer(&self, attributes: libc::stat64) -> AttrOut {
        AttrOut {
            attr_valid: self.believe.as_secs(),
            attr_valid_nsec: self.believe.subsec_nanos(),
            attr: Attr::from(attributes),
            ..AttrOut::default()
        }
    }

    /// Changes the attributes of `inode`.
    ///
    /// # Errors
    /// What the host said; some may have been changed.
    pub fn set_attributes(&self, inode: u64, set: SetattrIn) -> io::Result<AttrOut> {
        let _hold = self.hold(inode)?;
        let handle = (set.valid & FATTR_FH != 0).then_some(set.fh);
        let valid = SetattrValid::from_bits_truncate(set.valid);
        let attributes = self.files.setattr(&SELF, inode, set.into(), handle, valid)?;
        Ok(self.answer(attributes.0))
    }

    /// Where a symbolic link points to. The host never goes there.
    ///
    /// # Errors
    /// What the host said.
    pub fn read_link(&self, inode: u64) -> io::Result<Vec<u8>> {
        let _hold = self.hold(inode)?;
        self.files.readlink(&SELF, inode)
    }

    /// How full the file system is.
    ///
    /// # Errors
    /// What the host said.
    pub fn statfs(&self, inode: u64) -> io::Result<Kstatfs> {
        let _hold = self.hold(inode)?;
        self.files.statfs(&SELF, inode).map(Kstatfs::from)
    }

    /// Reads from `offset` into `to`, in order; returns how many bytes came,
    /// fewer at the end of the file. `flags` are those that the file has in the
    /// guest (`O_…`).
    ///
    /// # Errors
    /// What the host said.
    pub fn read(
        &self,
        inode: u64,
        handle: u64,
        to: &[VolatileSlice<'_>],
        (offset, flags): (u64, u32),
    ) -> io::Result<usize> {
        let _hold = self.hold(inode)?;
        let mut pieces = Pieces(to);
        let size = u32::try_from(pieces.size()).map_err(|_| Errno::EINVAL)?;
        let flags = if self.read_only { 0 } else { clean(flags) };
        self.files.read(&SELF, inode, handle, &mut pieces, size, offset, None, flags)
    }

    /// Writes `from`; returns how many bytes went.
    ///
    /// # Errors
    /// What the host said.
    pub fn write(
        &self,
        inode: u64,
        handle: u64,
        from: &[VolatileSlice<'_>],
        at: WriteAt,
    ) -> io::Result<usize> {
        let _hold = self.hold(inode)?;
        let mut pieces = Pieces(from);
        let size = u32::try_from(pieces.size()).map_err(|_| Errno::EINVAL)?;
        let (flags, kill) = (clean(at.flags), at.fuse_flags);
        let files = &self.files;
        files.write(&SELF, inode, handle, &mut pieces, size, at.offset, None, false, flags, kill)
    }

    /// Has what was written to a file be on the host's disk; its length and
    /// contents only, if `data` says so.
    ///
    /// # Errors
    /// What the host said.
    pub fn sync(&self, inode: u64, handle: u64, data: bool) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        self.files.fsync(&SELF, inode, data, handle)
    }

    /// The same for the names in a directory.
    ///
    /// # Errors
    /// What the host said.
    pub fn sync_directory(&self, inode: u64, handle: u64, data: bool) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        self.files.fsyncdir(&SELF, inode, data, handle)
    }

    /// A process of the guest closed a file; what the host finds wrong with
    /// what was written.
    ///
    /// # Errors
    /// What the host said.
    pub fn flush(&self, inode: u64, handle: u64) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        self.files.flush(&SELF, inode, handle, 0)
    }

    /// Allocates, or gives back, `len` bytes from `offset` on (`FALLOC_FL_…`).
    ///
    /// # Errors
    /// What the host said.
    pub fn allocate(
        &self,
        inode: u64,
        handle: u64,
        mode: u32,
        (offset, len): (u64, u64),
    ) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        self.files.fallocate(&SELF, inode, handle, mode, offset, len)
    }

    /// Where the next data or hole from `offset` on begins.
    ///
    /// # Errors
    /// EINVAL if something else is asked for, or what the host said.
    pub fn seek(&self, inode: u64, handle: u64, offset: u64, whence: u32) -> io::Result<u64> {
        let _hold = self.hold(inode)?;
        let whences = [libc::SEEK_DATA, libc::SEEK_HOLE].map(i32::cast_unsigned);
        if !whences.contains(&whence) {
            return Err(Errno::EINVAL.into());
        }
        self.files.lseek(&SELF, inode, handle, offset, whence)
    }

    /// The extended attribute `name`, if it has at most `size` bytes; how many
    /// it has if `size` is 0.
    ///
    /// # Errors
    /// What the host said.
    pub fn xattr(&self, inode: u64, name: &CStr, size: u32) -> io::Result<Value> {
        let _hold = self.hold(inode)?;
        Ok(match self.files.getxattr(&SELF, inode, name, size.min(MAX_XATTR))? {
            GetxattrReply::Value(bytes) => Value::Bytes(bytes),
            GetxattrReply::Count(count) => Value::Length(count),
        })
    }

    /// The names of the extended attributes, as with [`Session::xattr`].
    ///
    /// # Errors
    /// What the host said.
    pub fn xattrs(&self, inode: u64, size: u32) -> io::Result<Value> {
        let _hold = self.hold(inode)?;
        Ok(match self.files.listxattr(&SELF, inode, size.min(MAX_XATTR))? {
            ListxattrReply::Names(bytes) => Value::Bytes(bytes),
            ListxattrReply::Count(count) => Value::Length(count),
        })
    }

    /// Sets the extended attribute `name` (`XATTR_…` in `flags`).
    ///
    /// # Errors
    /// What the host said.
    pub fn set_xattr(&self, inode: u64, name: &CStr, value: &[u8], flags: u32) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        self.files.setxattr(&SELF, inode, name, value, flags)
    }

    /// Takes the extended attribute `name` away.
    ///
    /// # Errors
    /// What the host said.
    pub fn remove_xattr(&self, inode: u64, name: &CStr) -> io::Result<()> {
        let _hold = self.hold(inode)?;
        self.files.removexattr(&SELF, inode, name)
    }

    /// One more handle.
    ///
    /// # Errors
    /// ENFILE if there are enough.
    pub(super) fn take_handle(&self) -> io::Result<()> {
        let most = self.limits.handles;
        let more = |count: usize| (count < most).then_some(count + 1);
        let taken = self.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| Errno::ENFILE.into())
    }

    /// One handle less.
    pub(super) fn drop_handle(&self) {
        self.handles.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `name` if a directory can have an entry of that name.
///
/// # Errors
/// EINVAL if it is empty, a way up, or has a slash.
pub(super) fn checked(name: &CStr) -> io::Result<&CStr> {
    let bytes = name.to_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(Errno::EINVAL.into());
    }
    Ok(name)
}
