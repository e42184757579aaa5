//! Messages of FUSE as the driver sends them: a header, the arguments of the
//! opcode, and names that end in a NUL.

use std::ffi::CStr;

use nix::errno::Errno;
use vm_memory::ByteValued;

use crate::backend::fs::abi::{
    BatchForgetIn, CreateIn, FallocateIn, FlushIn, ForgetIn, ForgetOne, FsyncIn, GETATTR_FH,
    GetattrIn, GetxattrIn, InHeader, InitIn, LinkIn, LseekIn, MkdirIn, MknodIn, Opcode, OpenIn,
    ReadIn, ReleaseIn, Rename2In, RenameIn, SetattrIn, SetxattrIn, WriteIn,
};
use crate::backend::fs::{User, writes};

/// The most that a message has besides what is to be written: the longest
/// extended attribute with its name and arguments.
pub(super) const MAX_BODY: usize = (64 << 10) + 4096;

/// Who asks what of which inode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Bytes of the whole message.
    pub(super) len: u32,
    opcode: u32,
    /// What the answer is recognized by.
    pub(super) unique: u64,
    /// The inode.
    pub(super) node: u64,
    pub(super) user: User,
}

impl Head {
    /// Bytes of a header.
    pub(super) const BYTES: usize = size_of::<InHeader>();

    /// Reads a header.
    pub(super) fn parse(bytes: &[u8; Self::BYTES]) -> Self {
        let header: InHeader = read(bytes);
        let user = User { uid: header.uid, gid: header.gid };
        let InHeader { len, opcode, unique, nodeid, .. } = header;
        Self { len, opcode, unique, node: nodeid, user }
    }

    /// Whether the message is followed by what is to be written to a file.
    pub(super) fn has_data(&self) -> bool {
        self.is(Opcode::Write)
    }

    /// Whether the driver wants no answer.
    pub(super) fn is_one_way(&self) -> bool {
        [Opcode::Forget, Opcode::BatchForget, Opcode::Interrupt].iter().any(|code| self.is(*code))
    }

    fn is(&self, opcode: Opcode) -> bool {
        self.opcode == opcode as u32
    }

    /// The opcode, if it is one. The library takes any number for one.
    fn opcode(&self) -> Option<Opcode> {
        let is_known = matches!(self.opcode, 1..=6 | 8..=18 | 20..=47);
        is_known.then(|| Opcode::from(self.opcode))
    }
}

/// Bytes of the arguments of WRITE, behind which the data is.
pub(super) const WRITE_BYTES: usize = size_of::<WriteIn>();

/// A message of FUSE, by what it asks for.
#[derive(Debug)]
pub(super) enum Request<'b> {
    Init(InitIn),
    Destroy,
    Lookup {
        name: &'b CStr,
    },
    /// Inodes, and how often to forget each.
    Forget(Vec<(u64, u64)>),
    /// An earlier request is of no use any more.
    Interrupt,
    Attributes {
        handle: Option<u64>,
    },
    SetAttributes(SetattrIn),
    ReadLink,
    Symlink {
        name: &'b CStr,
        target: &'b CStr,
    },
    MakeNode {
        args: MknodIn,
        name: &'b CStr,
    },
    MakeDirectory {
        args: MkdirIn,
        name: &'b CStr,
    },
    Unlink {
        name: &'b CStr,
    },
    RemoveDirectory {
        name: &'b CStr,
    },
    Rename {
        directory: u64,
        flags: u32,
        from: &'b CStr,
        to: &'b CStr,
    },
    Link {
        inode: u64,
        name: &'b CStr,
    },
    Open(OpenIn),
    Create {
        args: CreateIn,
        name: &'b CStr,
    },
    Read(ReadIn),
    Write(WriteIn),
    Flush {
        handle: u64,
    },
    Release {
        handle: u64,
    },
    Sync {
        handle: u64,
        data: bool,
    },
    Allocate(FallocateIn),
    Seek {
        handle: u64,
        offset: u64,
        whence: u32,
    },
    Statfs,
    OpenDirectory,
    ReadDirectory {
        args: ReadIn,
        with_inodes: bool,
    },
    ReleaseDirectory {
        handle: u64,
    },
    SyncDirectory {
        handle: u64,
        data: bool,
    },
    SetXattr {
        name: &'b CStr,
        value: &'b [u8],
        flags: u32,
    },
    Xattr {
        name: &'b CStr,
        size: u32,
    },
    Xattrs {
        size: u32,
    },
    RemoveXattr {
        name: &'b CStr,
    },
}

impl<'b> Request<'b> {
    /// Reads the arguments of the message that `head` begins.
    ///
    /// # Errors
    /// ENOSYS if it is of no kind that there is here; EINVAL if it is not whole.
    pub(super) fn parse(head: &Head, body: &'b [u8]) -> Result<Self, Errno> {
        let mut body = Body(body);
        let opcode = head.opcode().ok_or(Errno::ENOSYS)?;
        Ok(match opcode {
            Opcode::Init => Self::Init(body.take()?),
            Opcode::Destroy => Self::Destroy,
            Opcode::Forget => Self::Forget(vec![(head.node, body.take::<ForgetIn>()?.nlookup)]),
            Opcode::BatchForget => Self::Forget(body.batch()?),
            Opcode::Interrupt => Self::Interrupt,
            Opcode::Getattr => {
                let GetattrIn { flags, fh, .. } = body.take()?;
                Self::Attributes { handle: (flags & GETATTR_FH != 0).then_some(fh) }
            }
            Opcode::Setattr => Self::SetAttributes(body.take()?),
            Opcode::Statfs => Self::Statfs,
            Opcode::Readlink => Self::ReadLink,
            _ => return Self::parse_names(opcode, &mut body),
        })
    }

    /// What is about names in directories and names of attributes.
    fn parse_names(opcode: Opcode, body: &mut Body<'b>) -> Result<Self, Errno> {
        Ok(match opcode {
            Opcode::Lookup => Self::Lookup { name: body.name()? },
            Opcode::Symlink => Self::Symlink { name: body.name()?, target: body.name()? },
            Opcode::Mknod => Self::MakeNode { args: body.take()?, name: body.name()? },
            Opcode::Mkdir => Self::MakeDirectory { args: body.take()?, name: body.name()? },
            Opcode::Unlink => Self::Unlink { name: body.name()? },
            Opcode::Rmdir => Self::RemoveDirectory { name: body.name()? },
            Opcode::Rename => {
                let RenameIn { newdir } = body.take()?;
                Self::Rename { directory: newdir, flags: 0, from: body.name()?, to: body.name()? }
            }
            Opcode::Rename2 => {
                let Rename2In { newdir, flags, .. } = body.take()?;
                Self::Rename { directory: newdir, flags, from: body.name()?, to: body.name()? }
            }
            Opcode::Link => {
                let LinkIn { oldnodeid } = body.take()?;
                Self::Link { inode: oldnodeid, name: body.name()? }
            }
            Opcode::Setxattr => {
                let SetxattrIn { size, flags } = body.take()?;
                let name = body.name()?;
                let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
                Self::SetXattr { name, value: body.bytes(size)?, flags }
            }
            Opcode::Getxattr => {
                let GetxattrIn { size, .. } = body.take()?;
                Self::Xattr { name: body.name()?, size }
            }
            Opcode::Listxattr => Self::Xattrs { size: body.take::<GetxattrIn>()?.size },
            Opcode::Removexattr => Self::RemoveXattr { name: body.name()? },
            _ => return Self::parse_open(opcode, body),
        })
    }

    /// What is about files and directories that are open.
    fn parse_open(opcode: Opcode, body: &mut Body<'b>) -> Result<Self, Errno> {
        const DATA: u32 = 1;
        Ok(match opcode {
            Opcode::Open => Self::Open(body.take()?),
            Opcode::Create => Self::Create { args: body.take()?, name: body.name()? },
            Opcode::Read => Self::Read(body.take()?),
            Opcode::Write => Self::Write(body.take()?),
            Opcode::Flush => Self::Flush { handle: body.take::<FlushIn>()?.fh },
            Opcode::Release => Self::Release { handle: body.take::<ReleaseIn>()?.fh },
            Opcode::Fsync => {
                let FsyncIn { fh, fsync_flags, .. } = body.take()?;
                Self::Sync { handle: fh, data: fsync_flags & DATA != 0 }
            }
            Opcode::Fallocate => Self::Allocate(body.take()?),
            Opcode::Lseek => {
                let LseekIn { fh, offset, whence, .. } = body.take()?;
                Self::Seek { handle: fh, offset, whence }
            }
            Opcode::Opendir => Self::OpenDirectory,
            Opcode::Readdir => Self::ReadDirectory { args: body.take()?, with_inodes: false },
            Opcode::Readdirplus => Self::ReadDirectory { args: body.take()?, with_inodes: true },
            Opcode::Releasedir => Self::ReleaseDirectory { handle: body.take::<ReleaseIn>()?.fh },
            Opcode::Fsyncdir => {
                let FsyncIn { fh, fsync_flags, .. } = body.take()?;
                Self::SyncDirectory { handle: fh, data: fsync_flags & DATA != 0 }
            }
            _ => return Err(Errno::ENOSYS),
        })
    }

    /// Whether it changes anything on the host, or could.
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::SetAttributes(_)
            | Self::Symlink { .. }
            | Self::MakeNode { .. }
            | Self::MakeDirectory { .. }
            | Self::Unlink { .. }
            | Self::RemoveDirectory { .. }
            | Self::Rename { .. }
            | Self::Link { .. }
            | Self::Create { .. }
            | Self::Write(_)
            | Self::Allocate(_)
            | Self::SetXattr { .. }
            | Self::RemoveXattr { .. } => true,
            Self::Open(args) => writes(args.flags),
            Self::Init(_)
            | Self::Destroy
            | Self::Lookup { .. }
            | Self::Forget(_)
            | Self::Interrupt
            | Self::Attributes { .. }
            | Self::ReadLink
            | Self::Read(_)
            | Self::Flush { .. }
            | Self::Release { .. }
            | Self::Sync { .. }
            | Self::Seek { .. }
            | Self::Statfs
            | Self::OpenDirectory
            | Self::ReadDirectory { .. }
            | Self::ReleaseDirectory { .. }
            | Self::SyncDirectory { .. }
            | Self::Xattr { .. }
            | Self::Xattrs { .. } => false,
        }
    }
}

/// What is left of a message's arguments.
struct Body<'b>(&'b [u8]);

impl<'b> Body<'b> {
    fn bytes(&mut self, len: usize) -> Result<&'b [u8], Errno> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Errno::EINVAL)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn take<T: ByteValued + Default>(&mut self) -> Result<T, Errno> {
        Ok(read(self.bytes(size_of::<T>())?))
    }

    /// A text up to its NUL.
    fn name(&mut self) -> Result<&'b CStr, Errno> {
        let name = CStr::from_bytes_until_nul(self.0).map_err(|_| Errno::EINVAL)?;
        self.0 = &self.0[name.to_bytes_with_nul().len()..];
        Ok(name)
    }

    fn batch(&mut self) -> Result<Vec<(u64, u64)>, Errno> {
        let BatchForgetIn { count, .. } = self.take()?;
        // A message that says more than it has is cut off, before memory is.
        let most = self.0.len() / size_of::<ForgetOne>();
        let count = usize::try_from(count).map_or(most, |count| count.min(most));
        (0..count).map(|_| self.take::<ForgetOne>().map(|one| (one.nodeid, one.nlookup))).collect()
    }
}

/// `bytes`, as many as a `T` has, as one.
fn read<T: ByteValued + Default>(bytes: &[u8]) -> T {
    let mut value = T::default();
    value.as_mut_slice().copy_from_slice(bytes);
    value
}
