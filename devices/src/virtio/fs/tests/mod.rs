mod device;
mod few;
mod hostile;
mod messages;
mod parsing;
mod reading;
mod readonly;

use std::num::NonZeroU16;
use std::path::Path;

use tempfile::TempDir;
use vm_memory::ByteValued;

use super::{Fs, FsOptions, Tag};
use crate::backend::fs::abi::*;
use crate::backend::fs::{Limits, Share, ShareOptions};
use crate::virtio::testing::*;

/// Where requests and answers lie.
const REQUEST: u64 = 0x10_0000;
const ANSWER: u64 = 0x20_0000;
const ROOM: u32 = 0x2_0000;

/// The queue for requests.
const QUEUE: u32 = 1;

const ROOT: u64 = ROOT_ID;

const LIMITS: Limits = Limits { inodes: 1000, descriptors: 1000, handles: 100 };

fn share(path: &Path, read_only: bool, limits: Limits) -> Share {
    Share::open(path, ShareOptions { read_only, limits }).unwrap()
}

fn options() -> FsOptions {
    FsOptions { tag: Tag::new("files").unwrap(), queues: NonZeroU16::MIN }
}

/// A driver of a share, and its directory of the host.
struct Mount {
    guest: Guest<MmioRegisters>,
    place: TempDir,
    last: u64,
}

/// An answer's error, as a positive number, and what is behind its header.
type Answered = Result<Vec<u8>, i32>;

impl Mount {
    fn new(read_only: bool) -> Self {
        Self::with(read_only, LIMITS)
    }

    /// A live device that no driver has begun with.
    fn unmounted(read_only: bool, limits: Limits) -> Self {
        let place = tempfile::tempdir().unwrap();
        let device = Fs::on_loop(share(place.path(), read_only, limits), &options()).unwrap();
        let mut guest = Guest::mmio(device);
        guest.start(u64::MAX);
        Self { guest, place, last: 0 }
    }

    fn with(read_only: bool, limits: Limits) -> Self {
        let mut mount = Self::unmounted(read_only, limits);
        mount.init().unwrap();
        mount
    }

    fn init(&mut self) -> Result<InitOut, i32> {
        let init = InitIn { major: 7, minor: 41, max_readahead: 1 << 17, flags: u32::MAX };
        self.call(Opcode::Init, 0, init.as_slice()).map(|bytes| object(&bytes))
    }

    /// The bytes of a message.
    fn message(&mut self, opcode: u32, node: u64, body: &[u8]) -> Vec<u8> {
        self.last += 1;
        let len = size_of::<InHeader>() + body.len();
        let header = InHeader {
            len: u32::try_from(len).unwrap(),
            opcode,
            unique: self.last,
            nodeid: node,
            ..InHeader::default()
        };
        [header.as_slice(), body].concat()
    }

    fn call(&mut self, opcode: Opcode, node: u64, body: &[u8]) -> Answered {
        self.call_number(opcode as u32, node, body)
    }

    fn call_number(&mut self, opcode: u32, node: u64, body: &[u8]) -> Answered {
        let message = self.message(opcode, node, body);
        self.guest.write(REQUEST, &message);
        let len = u32::try_from(message.len()).unwrap();
        self.send(&[read_only(REQUEST, len), write_only(ANSWER, ROOM)])
    }

    /// Sends a chain and reads the answer to the last message, which lies at
    /// [`ANSWER`] in one piece.
    fn send(&mut self, segments: &[Segment]) -> Answered {
        let head = self.guest.queues[QUEUE as usize].add(&self.guest.mem, segments);
        self.guest.kick(QUEUE);
        let (id, len) = self.guest.used(QUEUE as usize).expect("a request is answered");
        assert_eq!(id, u32::from(head));
        let bytes = self.guest.read(ANSWER, usize::try_from(len).unwrap());
        let header: OutHeader = object(&bytes[..16]);
        assert_eq!((header.len, header.unique), (len, self.last));
        match header.error {
            0 => Ok(bytes[16..].to_vec()),
            error => Err(-error),
        }
    }

    /// Sends a message that nobody answers, on the queue for these.
    fn tell(&mut self, opcode: Opcode, node: u64, body: &[u8]) {
        let message = self.message(opcode as u32, node, body);
        self.guest.write(REQUEST, &message);
        let segment = read_only(REQUEST, u32::try_from(message.len()).unwrap());
        self.guest.queues[0].add(&self.guest.mem, &[segment]);
        self.guest.kick(0);
        assert_eq!(self.guest.used(0).map(|(_, len)| len), Some(0));
    }

    fn lookup(&mut self, parent: u64, name: &str) -> Result<EntryOut, i32> {
        self.call(Opcode::Lookup, parent, &text(name)).map(|bytes| object(&bytes))
    }

    fn open(&mut self, node: u64, flags: i32) -> Result<u64, i32> {
        let open = OpenIn { flags: flags.cast_unsigned(), fuse_flags: 0 };
        self.call(Opcode::Open, node, open.as_slice()).map(|bytes| object::<OpenOut>(&bytes).fh)
    }

    fn read(&mut self, node: u64, fh: u64, offset: u64, size: u32) -> Answered {
        let args = ReadIn { fh, offset, size, ..ReadIn::default() };
        self.call(Opcode::Read, node, args.as_slice())
    }

    fn write(&mut self, node: u64, fh: u64, offset: u64, data: &[u8]) -> Result<u32, i32> {
        let size = u32::try_from(data.len()).unwrap();
        let args = WriteIn { fh, offset, size, flags: 2, ..WriteIn::default() };
        let answer = self.call(Opcode::Write, node, &[args.as_slice(), data].concat());
        answer.map(|bytes| object::<WriteOut>(&bytes).size)
    }

    fn create(&mut self, parent: u64, name: &str, flags: i32) -> Result<(EntryOut, u64), i32> {
        let flags = (flags | libc::O_CREAT).cast_unsigned();
        let args = CreateIn { flags, mode: 0o100_644, ..CreateIn::default() };
        let body = [args.as_slice(), &text(name)].concat();
        let bytes = self.call(Opcode::Create, parent, &body)?;
        let (entry, open) = bytes.split_at(size_of::<EntryOut>());
        Ok((object(entry), object::<OpenOut>(open).fh))
    }
}

/// A text as messages have it.
fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

fn object<T: ByteValued + Default>(bytes: &[u8]) -> T {
    let mut value = T::default();
    value.as_mut_slice().copy_from_slice(bytes);
    value
}
