use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use nix::errno::Errno;
use vm_memory::ByteValued;

use super::reply::{Answer, Names, Reply};
use super::request::{Head, MAX_BODY, Request, WRITE_BYTES};
use crate::backend::fs::abi::{
    EntryOut, GetxattrOut, InitIn, InitOut, LseekOut, OpenOut, ReadIn, WriteIn, WriteOut,
};
use crate::backend::fs::{Entry, Opened, Session, Share, Value, WriteAt};
use crate::virtio::queue::{Buffer, Chain};

/// The version of FUSE that is spoken here (`FUSE_KERNEL_VERSION`).
const MAJOR: u32 = 7;
/// What is there of it: up to `FUSE_HANDLE_KILLPRIV_V2`.
const MINOR: u32 = 33;
/// The oldest that drivers of this device speak: Linux 5.4's.
const LEAST_MINOR: u32 = 27;

/// The most that is read or written at once.
const MAX_TRANSFER: u32 = 1 << 20;
const PAGE: u32 = 4096;

/// The most that a directory's entries have in one answer.
const MAX_NAMES: usize = 128 << 10;
/// What an entry takes with its inode, in terms of what it has on the host.
const WITH_INODE: u32 = 5;
/// The least that the host needs for any entry.
const LEAST_NAMES: u32 = 512;

/// What serves a share's messages, from several threads.
pub(super) struct Server {
    share: Share,
    /// From FUSE_INIT on, until the driver goes.
    session: RwLock<Option<Arc<Session>>>,
}

impl Server {
    pub(super) fn new(share: Share) -> Self {
        Self { share, session: RwLock::default() }
    }

    /// Forgets all that a driver had.
    pub(super) fn reset(&self) {
        self.replace(None);
    }

    fn replace(&self, session: Option<Session>) {
        let session = session.map(Arc::new);
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn session(&self) -> io::Result<Arc<Session>> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        // A driver that did not begin (ENOTCONN, as of a socket).
        session.clone().ok_or_else(|| Errno::ENOTCONN.into())
    }

    /// Does what `chain` asks for; returns how many bytes the answer has.
    /// `scratch` is for the arguments.
    pub(super) fn serve(&self, mut chain: Chain<'_>, scratch: &mut Vec<u8>) -> usize {
        let mut bytes = [0; Head::BYTES];
        let front = chain.readable.split_front(Head::BYTES);
        if front.copy_to(&mut bytes) < Head::BYTES {
            return 0;
        }
        let head = Head::parse(&bytes);
        if head.is_one_way() {
            if let Some(Request::Forget(inodes)) = read(&head, &mut chain.readable, scratch)
                .ok()
                .and_then(|body| Request::parse(&head, body).ok())
                && let Ok(session) = self.session()
            {
                inodes.into_iter().for_each(|(inode, times)| session.forget(inode, times));
            }
            return 0;
        }
        let Some(reply) = Reply::new(chain.writable, head.unique) else { return 0 };
        let answer = read(&head, &mut chain.readable, scratch)
            .and_then(|body| Request::parse(&head, body))
            .map_err(io::Error::from)
            .and_then(|request| self.answer(&head, request, &chain.readable, &reply));
        reply.send(answer)
    }

    fn answer<'m>(
        &self,
        head: &Head,
        request: Request<'_>,
        data: &Buffer<'m>,
        reply: &Reply<'m>,
    ) -> io::Result<Answer> {
        if self.share.is_read_only() && request.writes() {
            return Err(Errno::EROFS.into());
        }
        match request {
            Request::Init(args) => self.begin(args),
            Request::Destroy => {
                self.reset();
                Ok(Answer::empty())
            }
            request => Call { session: &*self.session()?, head, data, reply }.answer(request),
        }
    }

    /// Agrees on a version and on features. What an earlier mount had is gone.
    fn begin(&self, args: InitIn) -> io::Result<Answer> {
        if args.major < MAJOR || args.major == MAJOR && args.minor < LEAST_MINOR {
            return Err(Errno::EPROTO.into());
        }
        // A newer driver asks again, in this version.
        if args.major > MAJOR {
            return Ok(Answer::of(&InitOut { major: MAJOR, minor: MINOR, ..InitOut::default() }));
        }
        let session = self.share.session()?;
        let flags = session.agree(args.flags.into())?;
        self.replace(Some(session));
        Ok(Answer::of(&InitOut {
            major: MAJOR,
            minor: MINOR,
            max_readahead: args.max_readahead,
            flags: u32::try_from(flags).expect("the driver was asked for 32 flags"),
            max_background: u16::MAX,
            congestion_threshold: u16::MAX / 4 * 3,
            max_write: MAX_TRANSFER,
            time_gran: 1,
            max_pages: u16::try_from(MAX_TRANSFER / PAGE).expect("256 pages"),
            ..InitOut::default()
        }))
    }
}

/// The arguments of the message that `head` begins, which are next in `from`;
/// what is to be written stays there.
fn read<'s>(
    head: &Head,
    from: &mut Buffer<'_>,
    scratch: &'s mut Vec<u8>,
) -> Result<&'s [u8], Errno> {
    let len = usize::try_from(head.len).ok().and_then(|len| len.checked_sub(Head::BYTES));
    let len = len.filter(|len| *len <= from.len()).ok_or(Errno::EINVAL)?;
    let body = if head.has_data() { len.min(WRITE_BYTES) } else { len };
    if body > MAX_BODY {
        return Err(Errno::E2BIG);
    }
    scratch.resize(body, 0);
    from.split_front(body).copy_to(scratch);
    // What is behind the message is none of its data.
    *from = from.split_front(len - body);
    Ok(scratch)
}

/// One request of a mounted share.
struct Call<'a, 'm> {
    session: &'a Session,
    head: &'a Head,
    /// What is to be written.
    data: &'a Buffer<'m>,
    reply: &'a Reply<'m>,
}

impl Call<'_, '_> {
    fn answer(&self, request: Request<'_>) -> io::Result<Answer> {
        let (session, node) = (self.session, self.head.node);
        match request {
            Request::Lookup { name } => session.lookup(node, name).map(entry),
            Request::Attributes { handle } => {
                session.attributes(node, handle).map(|attributes| Answer::of(&attributes))
            }
            Request::SetAttributes(args) => {
                session.set_attributes(node, args).map(|attributes| Answer::of(&attributes))
            }
            Request::ReadLink => session.read_link(node).map(Answer::Bytes),
            Request::Statfs => session.statfs(node).map(|st| Answer::of(&st)),
            Request::Xattr { name, size } => session.xattr(node, name, size).map(value),
            Request::Xattrs { size } => session.xattrs(node, size).map(value),
            Request::SetXattr { name, value, flags } => {
                session.set_xattr(node, name, value, flags).map(done)
            }
            Request::RemoveXattr { name } => session.remove_xattr(node, name).map(done),
            request => self.names(request),
        }
    }

    /// What changes names in directories.
    fn names(&self, request: Request<'_>) -> io::Result<Answer> {
        let (session, node, user) = (self.session, self.head.node, self.head.user);
        match request {
            Request::Symlink { name, target } => {
                session.make_symlink(user, node, name, target).map(entry)
            }
            Request::MakeNode { args, name } => {
                session.make_node(user, node, name, args.mode, args.umask).map(entry)
            }
            Request::MakeDirectory { args, name } => {
                session.make_directory(user, node, name, args.mode, args.umask).map(entry)
            }
            Request::Unlink { name } => session.unlink(node, name).map(done),
            Request::RemoveDirectory { name } => session.remove_directory(node, name).map(done),
            Request::Rename { directory, flags, from, to } => {
                session.rename((node, from), (directory, to), flags).map(done)
            }
            Request::Link { inode, name } => session.make_link(inode, node, name).map(entry),
            request => self.files(request),
        }
    }

    /// What is about open files and directories.
    fn files(&self, request: Request<'_>) -> io::Result<Answer> {
        let (session, node) = (self.session, self.head.node);
        match request {
            Request::Open(args) => session
                .open(node, args.flags, args.fuse_flags)
                .map(|open| Answer::of(&opened(open))),
            Request::Create { args, name } => {
                let (entry, open) = session.create(self.head.user, node, name, args)?;
                let mut bytes = EntryOut::from(entry).as_slice().to_vec();
                bytes.extend_from_slice(opened(open).as_slice());
                Ok(Answer::Bytes(bytes))
            }
            Request::Read(args) => self.read(args),
            Request::Write(args) => self.write(args),
            Request::Flush { handle } => session.flush(node, handle).map(done),
            Request::Release { handle } => session.release(node, handle).map(done),
            Request::Sync { handle, data } => session.sync(node, handle, data).map(done),
            Request::Allocate(args) => {
                session.allocate(node, args.fh, args.mode, (args.offset, args.length)).map(done)
            }
            Request::Seek { handle, offset, whence } => session
                .seek(node, handle, offset, whence)
                .map(|offset| Answer::of(&LseekOut { offset })),
            Request::OpenDirectory => {
                session.open_directory(node).map(|open| Answer::of(&opened(open)))
            }
            Request::ReadDirectory { args, with_inodes } => self.read_names(args, with_inodes),
            Request::ReleaseDirectory { handle } => {
                session.release_directory(node, handle).map(done)
            }
            Request::SyncDirectory { handle, data } => {
                session.sync_directory(node, handle, data).map(done)
            }
            _ => Err(Errno::ENOSYS.into()),
        }
    }

    fn read(&self, args: ReadIn) -> io::Result<Answer> {
        let len = usize::try_from(args.size.min(MAX_TRANSFER)).unwrap_or(0).min(self.reply.room());
        let to = self.reply.front(len);
        let (session, node) = (self.session, self.head.node);
        session.read(node, args.fh, &to, (args.offset, args.flags)).map(Answer::InPlace)
    }

    fn write(&self, args: WriteIn) -> io::Result<Answer> {
        let WriteIn { offset, flags, fuse_flags, .. } = args;
        let len = usize::try_from(args.size).unwrap_or(usize::MAX);
        if len > self.data.len() {
            return Err(Errno::EINVAL.into());
        }
        let from = self.data.clone().split_front(len);
        let at = WriteAt { offset, flags, fuse_flags };
        let moved = self.session.write(self.head.node, args.fh, from.pieces(), at)?;
        let size = u32::try_from(moved).map_err(|_| Errno::EIO)?;
        Ok(Answer::of(&WriteOut { size, ..WriteOut::default() }))
    }

    fn read_names(&self, args: ReadIn, with_inodes: bool) -> io::Result<Answer> {
        let asked = usize::try_from(args.size).unwrap_or(usize::MAX);
        let room = asked.min(self.reply.room()).min(MAX_NAMES);
        let size = u32::try_from(room).map_err(|_| Errno::EINVAL)?;
        // What would not fit anyway need not be looked up.
        let size = if with_inodes { size / WITH_INODE } else { size };
        let place = (args.offset, size.max(LEAST_NAMES));
        let mut names = Names::new(room);
        let (session, node) = (self.session, self.head.node);
        session.read_directory(node, args.fh, place, with_inodes, &mut |name, inode| {
            names.add(name, with_inodes.then_some(inode))
        })?;
        Ok(names.into_answer())
    }
}

fn entry(entry: Entry) -> Answer {
    Answer::of(&EntryOut::from(entry))
}

fn done((): ()) -> Answer {
    Answer::empty()
}

fn value(value: Value) -> Answer {
    match value {
        Value::Bytes(bytes) => Answer::Bytes(bytes),
        Value::Length(size) => Answer::of(&GetxattrOut { size, ..GetxattrOut::default() }),
    }
}

fn opened(opened: Opened) -> OpenOut {
    OpenOut { fh: opened.handle, open_flags: opened.flags, ..OpenOut::default() }
}
