//! Answers: a header, and what was asked for behind it.

use std::io;

use nix::errno::Errno;
use vm_memory::{ByteValued, VolatileSlice};

use crate::backend::fs::abi::{Dirent, Direntplus, EntryOut, OutHeader};
use crate::backend::fs::{DirEntry, Entry};
use crate::virtio::queue::Buffer;

/// Bytes of an answer's header.
const HEADER: usize = size_of::<OutHeader>();

/// Where the answer to a request goes.
pub(super) struct Reply<'m> {
    header: Buffer<'m>,
    room: Buffer<'m>,
    unique: u64,
}

/// What is behind the header.
pub(super) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many bytes, which are there already.
    InPlace(usize),
}

impl Answer {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::InPlace(0)
    }

    /// A structure of FUSE's.
    pub(super) fn of<T: ByteValued>(value: &T) -> Self {
        Self::Bytes(value.as_slice().to_vec())
    }
}

impl<'m> Reply<'m> {
    /// The answer to the request `unique` goes to the start of `buffer`. `None`
    /// if it has no room for the least.
    pub(super) fn new(mut buffer: Buffer<'m>, unique: u64) -> Option<Self> {
        let header = buffer.split_front(HEADER);
        (header.len() == HEADER).then_some(Self { header, room: buffer, unique })
    }

    /// How many bytes find room behind the header.
    pub(super) fn room(&self) -> usize {
        self.room.len()
    }

    /// The first `len` bytes behind the header.
    pub(super) fn front(&self, len: usize) -> Vec<VolatileSlice<'m>> {
        self.room.clone().split_front(len).pieces().to_vec()
    }

    /// Writes the answer; returns its length. What finds no room is an error
    /// of its own.
    pub(super) fn send(self, answer: io::Result<Answer>) -> usize {
        let (error, len) = match answer {
            Ok(Answer::InPlace(len)) => (0, len),
            Ok(Answer::Bytes(bytes)) if bytes.len() > self.room.len() => (libc::ERANGE, 0),
            Ok(Answer::Bytes(bytes)) => (0, self.room.copy_from(&bytes)),
            Err(error) => (number(&error), 0),
        };
        let len = HEADER + len;
        let header = OutHeader {
            len: u32::try_from(len).expect("an answer is as long as its request allows"),
            error: -error,
            unique: self.unique,
        };
        self.header.copy_from(header.as_slice());
        len
    }
}

/// The number that the driver knows `error` by (§5.11.6.1: Linux's).
fn number(error: &io::Error) -> i32 {
    let fallback = match error.kind() {
        io::ErrorKind::InvalidInput => Errno::EINVAL,
        io::ErrorKind::Unsupported => Errno::EOPNOTSUPP,
        _ => Errno::EIO,
    };
    // Beyond these, Linux takes the whole answer for broken.
    error.raw_os_error().filter(|number| (1..512).contains(number)).unwrap_or(fallback as i32)
}

/// The entries of a directory, as many as find room.
pub(super) struct Names {
    bytes: Vec<u8>,
    room: usize,
}

impl Names {
    /// Entries of at most `room` bytes.
    pub(super) fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room }
    }

    /// Adds an entry, with its inode if the answer is to have them
    /// (READDIRPLUS), `Some(None)` for one that the guest is not told of; false
    /// if there is no room.
    pub(super) fn add(&mut self, name: DirEntry<'_>, inode: Option<Option<Entry>>) -> bool {
        let Ok(namelen) = u32::try_from(name.name.len()) else { return false };
        let dirent = Dirent { ino: name.ino, off: name.offset, namelen, type_: name.type_ };
        let head = if inode.is_some() { size_of::<Direntplus>() } else { size_of::<Dirent>() };
        let len = (head + name.name.len()).next_multiple_of(size_of::<u64>());
        if self.bytes.len() + len > self.room {
            return false;
        }
        let end = self.bytes.len() + len;
        if let Some(entry) = inode {
            let entry = entry.map_or_else(EntryOut::default, EntryOut::from);
            self.bytes.extend_from_slice(entry.as_slice());
        }
        self.bytes.extend_from_slice(dirent.as_slice());
        self.bytes.extend_from_slice(name.name);
        self.bytes.resize(end, 0);
        true
    }

    /// The entries.
    pub(super) fn into_answer(self) -> Answer {
        Answer::Bytes(self.bytes)
    }
}
