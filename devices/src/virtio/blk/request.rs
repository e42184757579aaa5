use vm_memory::GuestAddress;

use crate::virtio::queue::{Buffer, Chain};
use crate::virtio::spec::blk;

/// Type, reserved, sector: 4 + 4 + 8 bytes (VIRTIO 1.2 §5.2.6).
const HEADER_LEN: usize = 16;
/// Sector, number of sectors, flags: 8 + 4 + 4 bytes (VIRTIO 1.2 §5.2.6).
const SEGMENT_LEN: usize = 16;
/// The most segments that a request to discard or to write zeros may have.
pub(super) const MAX_SEGMENTS: u32 = 32;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Disk to memory.
    Read,
    /// Memory to disk.
    Write,
    /// All writes so far to stable storage.
    Flush,
    /// The disk's name.
    GetId,
    /// Space back to the host.
    Discard,
    /// Zeros on the disk.
    WriteZeroes,
    /// A type that this device does not know.
    Unknown(u32),
}

/// A request, its buffers cut apart.
#[derive(Debug)]
pub(super) struct Request<'m> {
    /// What is asked for.
    pub(super) kind: Kind,
    /// Where, in units of 512 bytes; anything at all.
    pub(super) sector: u64,
    /// What the driver sends, behind the header.
    pub(super) outgoing: Buffer<'m>,
    /// Where the answer goes, before the status byte.
    pub(super) incoming: Buffer<'m>,
    /// The status byte.
    pub(super) status: GuestAddress,
}

/// Why a chain is no request.
#[derive(Debug)]
pub(super) enum Malformed {
    /// There is no byte for the status: no answer is possible.
    NoStatus,
    /// The header is cut short; the status byte can say so.
    NoHeader {
        /// Bytes before the status byte.
        incoming: usize,
        /// The status byte.
        status: GuestAddress,
    },
}

impl<'m> Request<'m> {
    /// Cuts `chain` into header, data and status, wherever its buffers end.
    ///
    /// # Errors
    /// [`Malformed`] if it has no room for them.
    pub(super) fn parse(chain: Chain<'m>) -> Result<Self, Malformed> {
        let Some(status) = chain.last_writable else {
            return Err(Malformed::NoStatus);
        };
        let mut writable = chain.writable;
        let incoming = writable.split_front(writable.len().saturating_sub(1));
        let mut outgoing = chain.readable;
        let mut header = [0; HEADER_LEN];
        if outgoing.split_front(HEADER_LEN).copy_to(&mut header) < HEADER_LEN {
            return Err(Malformed::NoHeader { incoming: incoming.len(), status });
        }
        let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = header;
        let kind = match u32::from_le_bytes([t0, t1, t2, t3]) {
            blk::T_IN => Kind::Read,
            blk::T_OUT => Kind::Write,
            blk::T_FLUSH => Kind::Flush,
            blk::T_GET_ID => Kind::GetId,
            blk::T_DISCARD => Kind::Discard,
            blk::T_WRITE_ZEROES => Kind::WriteZeroes,
            other => Kind::Unknown(other),
        };
        Ok(Self { kind, sector: u64::from_le_bytes(sector), outgoing, incoming, status })
    }
}

/// A part of the disk, as the driver names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The first sector; anything at all.
    pub(super) sector: u64,
    /// How many sectors.
    pub(super) sectors: u32,
    /// [`blk::FLAG_UNMAP`], and what else the driver may have put there.
    pub(super) flags: u32,
}

impl Segment {
    /// Reads the segments that a request to discard or to write zeros has
    /// behind its header: 1 to [`MAX_SEGMENTS`]. `None` if these are others.
    pub(super) fn list(outgoing: &Buffer<'_>) -> Option<Vec<Self>> {
        let count = outgoing.len() / SEGMENT_LEN;
        let max = usize::try_from(MAX_SEGMENTS).ok()?;
        if count == 0 || count > max || !outgoing.len().is_multiple_of(SEGMENT_LEN) {
            return None;
        }
        let mut bytes = vec![0; outgoing.len()];
        outgoing.copy_to(&mut bytes);
        let (segments, _) = bytes.as_chunks::<SEGMENT_LEN>();
        Some(segments.iter().map(|segment| Self::read(*segment)).collect())
    }

    fn read(bytes: [u8; SEGMENT_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, n0, n1, n2, n3, flags @ ..] = bytes;
        Self {
            sector: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            sectors: u32::from_le_bytes([n0, n1, n2, n3]),
            flags: u32::from_le_bytes(flags),
        }
    }
}

/// A part of a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first byte.
    pub(super) offset: u64,
    /// How many.
    pub(super) len: u64,
}

impl Extent {
    /// `len` bytes from `sector` on, if they are whole sectors and all lie on a
    /// disk of `size` bytes.
    pub(super) fn on_disk(sector: u64, len: u64, size: u64) -> Option<Self> {
        let offset = sector.checked_mul(blk::SECTOR_SIZE)?;
        let end = offset.checked_add(len)?;
        (len.is_multiple_of(blk::SECTOR_SIZE) && end <= size).then_some(Self { offset, len })
    }
}
