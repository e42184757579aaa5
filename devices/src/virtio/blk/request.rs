use crate::virtio::queue::{Buffer, Chain};
use crate::virtio::spec::blk;

/// Type, reserved, sector: 4 + 4 + 8 bytes (VIRTIO 1.2 §5.2.6).
const HEADER_LEN: usize = 16;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Disk to memory.
    Read,
    /// Memory to disk.
    Write,
    /// All writes so far to stable storage.
    Flush,
    /// The disk's name.
    GetId,
    /// A type that this device does not know.
    Unknown(u32),
}

/// A request, its buffers cut apart.
#[derive(Debug)]
pub struct Request<'m> {
    /// What is asked for.
    pub kind: Kind,
    /// Where, in units of 512 bytes; anything at all.
    pub sector: u64,
    /// What the driver sends, behind the header.
    pub outgoing: Buffer<'m>,
    /// Where the answer goes, before the status byte.
    pub incoming: Buffer<'m>,
    /// The status byte.
    pub status: Buffer<'m>,
}

/// Why a chain is no request.
#[derive(Debug)]
pub enum Malformed<'m> {
    /// There is no byte for the status: no answer is possible.
    NoStatus,
    /// The header is cut short; the status byte can say so.
    NoHeader {
        /// Bytes before the status byte.
        incoming: usize,
        /// The status byte.
        status: Buffer<'m>,
    },
}

impl<'m> Request<'m> {
    /// Cuts `chain` into header, data and status, wherever its buffers end.
    ///
    /// # Errors
    /// [`Malformed`] if it has no room for them.
    pub fn parse(chain: Chain<'m>) -> Result<Self, Malformed<'m>> {
        let mut status = chain.writable;
        let Some(incoming) = status.len().checked_sub(1) else {
            return Err(Malformed::NoStatus);
        };
        let incoming = status.split_front(incoming);
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
            other => Kind::Unknown(other),
        };
        Ok(Self { kind, sector: u64::from_le_bytes(sector), outgoing, incoming, status })
    }

    /// The byte offset of `len` bytes from [`Request::sector`] on, if `len` is
    /// whole sectors and all of them lie on a disk of `size` bytes.
    pub fn offset(&self, len: usize, size: u64) -> Option<u64> {
        let len = u64::try_from(len).ok()?;
        let offset = self.sector.checked_mul(blk::SECTOR_SIZE)?;
        let end = offset.checked_add(len)?;
        (len.is_multiple_of(blk::SECTOR_SIZE) && end <= size).then_some(offset)
    }
}
