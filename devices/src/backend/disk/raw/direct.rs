//! Transfers past the host's page cache, for which everything is aligned.

use std::fs::File;
use std::io::{self, ErrorKind};

use nix::errno::Errno;
use vm_memory::VolatileSlice;
use vmm_core::sys;

use super::buffer::AlignedBuffer;
use crate::backend::disk::channel::persist;

/// The most that goes through a buffer of ours at once, in bytes.
const BOUNCED: usize = 256 << 10;
/// The alignments that hosts ask for.
const KNOWN: [u32; 2] = [512, 4096];

/// What addresses, offsets and lengths must be multiples of; `None` if `file`
/// cannot be transferred to directly, or only in a way that nobody asks for.
///
/// # Errors
/// What the host said.
pub(in crate::backend::disk) fn alignment(file: &File) -> io::Result<Option<u32>> {
    let fits = |least: u32| KNOWN.into_iter().find(|align| *align >= least);
    if let Some(align) = sys::direct_align(file)? {
        let least = align.memory.max(align.offset);
        return Ok(if least == 0 { None } else { fits(least) });
    }
    match sys::logical_block_size(file) {
        Ok(size) => return Ok(fits(size)),
        Err(error) if error.raw_os_error() == Some(Errno::ENOTTY as i32) => {}
        Err(error) => return Err(error),
    }
    for align in KNOWN {
        let mut buffer = AlignedBuffer::new(usize::try_from(align).map_err(io::Error::other)?);
        let buffer = buffer.slice();
        match persist(|| sys::read_at(file, &[buffer], 0)) {
            Ok(_) => return Ok(Some(align)),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether the host takes these pieces as they are.
pub(in crate::backend::disk) fn is_aligned(
    pieces: &[VolatileSlice<'_>],
    offset: u64,
    align: u32,
) -> bool {
    let mask = usize::try_from(align - 1).expect("a usize has 64 bits here");
    let is_multiple = |value: usize| value & mask == 0;
    offset.is_multiple_of(align.into())
        && pieces.iter().all(|p| is_multiple(p.ptr_guard().as_ptr().addr()) && is_multiple(p.len()))
}

/// Whole blocks of the disk around a part of a transfer.
struct Blocks {
    /// The first byte of the first block.
    start: u64,
    /// Bytes of the first block before the transfer.
    skip: usize,
    /// Bytes of the transfer.
    len: usize,
    /// All the blocks.
    total: usize,
}

impl Blocks {
    fn around(pieces: &[VolatileSlice<'_>], offset: u64, align: u32) -> io::Result<Self> {
        let len = pieces.iter().map(VolatileSlice::len).sum::<usize>().min(BOUNCED);
        let skip = offset % u64::from(align);
        let start = offset - skip;
        let skip = usize::try_from(skip).map_err(io::Error::other)?;
        let align = usize::try_from(align).map_err(io::Error::other)?;
        Ok(Self { start, skip, len, total: (skip + len).next_multiple_of(align) })
    }

    fn is_whole(&self) -> bool {
        self.skip == 0 && self.len == self.total
    }
}

/// Reads some of `pieces`, from their front, through a buffer.
pub(in crate::backend::disk) fn read(
    file: &File,
    pieces: &[VolatileSlice<'_>],
    offset: u64,
    align: u32,
) -> io::Result<usize> {
    let blocks = Blocks::around(pieces, offset, align)?;
    let mut buffer = AlignedBuffer::new(blocks.total);
    let moved = sys::read_at(file, &[buffer.slice()], blocks.start)?;
    let found = &buffer.bytes()[..moved];
    let mut found = found.get(blocks.skip..).unwrap_or_default();
    found = &found[..found.len().min(blocks.len)];
    let all = found.len();
    for piece in pieces {
        let here = piece.len().min(found.len());
        piece.copy_from(&found[..here]);
        found = &found[here..];
    }
    Ok(all)
}

/// Writes some of `pieces`, from their front, through a buffer, with what is
/// around them in their blocks.
pub(in crate::backend::disk) fn write(
    file: &File,
    pieces: &[VolatileSlice<'_>],
    offset: u64,
    align: u32,
) -> io::Result<usize> {
    let blocks = Blocks::around(pieces, offset, align)?;
    let mut buffer = AlignedBuffer::new(blocks.total);
    if !blocks.is_whole() {
        all(blocks.total, &mut buffer, blocks.start, |part, at| sys::read_at(file, part, at))?;
    }
    let mut rest = &mut buffer.bytes_mut()[blocks.skip..][..blocks.len];
    for piece in pieces {
        let (here, after) = rest.split_at_mut(piece.len().min(rest.len()));
        piece.copy_to(here);
        rest = after;
    }
    all(blocks.total, &mut buffer, blocks.start, |part, at| sys::write_at(file, part, at))?;
    Ok(blocks.len)
}

/// Moves all of `buffer`.
fn all(
    total: usize,
    buffer: &mut AlignedBuffer,
    start: u64,
    step: impl Fn(&[VolatileSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let slice = buffer.slice();
    let mut done = 0;
    while done < total {
        let rest = slice.offset(done).map_err(io::Error::other)?;
        let at = start + u64::try_from(done).map_err(io::Error::other)?;
        match persist(|| step(&[rest], at))? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            moved => done += moved,
        }
    }
    Ok(())
}
