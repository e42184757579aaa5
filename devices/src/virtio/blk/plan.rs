//! What a request means for the disk: decided before anything is done.

use super::config::{MAX_DISCARD_SECTORS, MAX_ZEROES_SECTORS};
use super::disk::Disk;
use super::request::{Extent, Kind, Request, Segment};
use crate::backend::disk::Operation;
use crate::virtio::queue::Buffer;
use crate::virtio::spec::blk;

/// What the driver and the device agreed on.
#[derive(Clone, Copy)]
pub(super) struct Agreed(pub(super) u64);

impl Agreed {
    fn has(self, feature: u64) -> bool {
        self.0 & feature != 0
    }

    /// Whether each write must be stable before it is answered (VIRTIO 1.2
    /// §5.2.6.2): as `writeback` says if the driver knows of it, and so for a
    /// driver that does not know flush.
    fn is_write_through(self, disk: &Disk) -> bool {
        if self.has(blk::F_CONFIG_WCE) { !disk.is_writeback() } else { !self.has(blk::F_FLUSH) }
    }
}

/// How a request is served.
pub(super) enum Plan<'m> {
    /// Without the image: the status, and how many bytes were written in front
    /// of it.
    Answer(u8, usize),
    /// By this operation and what follows it.
    Do(Operation<'m>, Rest),
}

/// What follows the first operation of a request.
pub(super) struct Rest {
    /// More parts of the disk, for a request that names several; the next last.
    changes: Vec<Change>,
    /// A flush, after all of them.
    flush: bool,
    /// How many bytes all of it writes to memory, in front of the status.
    pub(super) written: usize,
}

/// Something done to a part of the disk without data.
#[derive(Clone, Copy)]
enum Change {
    Discard(Extent),
    WriteZeroes(Extent, bool),
}

impl Change {
    fn operation<'m>(self) -> Operation<'m> {
        match self {
            Self::Discard(Extent { offset, len }) => Operation::Discard { offset, len },
            Self::WriteZeroes(Extent { offset, len }, unmap) => {
                Operation::WriteZeroes { offset, len, unmap }
            }
        }
    }
}

impl Rest {
    fn new(flush: bool, written: usize) -> Self {
        Self { changes: Vec::new(), flush, written }
    }

    /// The next operation of the request, if there is one.
    pub(super) fn next<'m>(&mut self) -> Option<Operation<'m>> {
        if let Some(change) = self.changes.pop() {
            return Some(change.operation());
        }
        std::mem::take(&mut self.flush).then_some(Operation::Flush)
    }
}

fn refused<'m>() -> Plan<'m> {
    Plan::Answer(blk::S_IOERR, 0)
}

fn unknown<'m>() -> Plan<'m> {
    Plan::Answer(blk::S_UNSUPP, 0)
}

/// Plans `request`, all of whose fields may be anything.
pub(super) fn plan<'m>(disk: &Disk, agreed: Agreed, request: Request<'m>) -> Plan<'m> {
    let Request { kind, sector, outgoing, incoming, .. } = request;
    let is_read_only = disk.image.is_read_only();
    match kind {
        Kind::Read => match on_disk(disk, sector, &incoming) {
            Some(_) if incoming.is_empty() => Plan::Answer(blk::S_OK, 0),
            Some(Extent { offset, .. }) => {
                let rest = Rest::new(false, incoming.len());
                Plan::Do(Operation::Read { to: incoming, offset }, rest)
            }
            None => refused(),
        },
        Kind::Write if is_read_only => refused(),
        Kind::Write => match on_disk(disk, sector, &outgoing) {
            Some(_) if outgoing.is_empty() => Plan::Answer(blk::S_OK, 0),
            Some(Extent { offset, .. }) => {
                let rest = Rest::new(agreed.is_write_through(disk), 0);
                Plan::Do(Operation::Write { from: outgoing, offset }, rest)
            }
            None => refused(),
        },
        Kind::Flush => Plan::Do(Operation::Flush, Rest::new(false, 0)),
        Kind::GetId => Plan::Answer(blk::S_OK, incoming.copy_from(&disk.id)),
        Kind::Discard if !agreed.has(blk::F_DISCARD) => unknown(),
        Kind::WriteZeroes if !agreed.has(blk::F_WRITE_ZEROES) => unknown(),
        Kind::Discard | Kind::WriteZeroes if is_read_only => refused(),
        Kind::Discard | Kind::WriteZeroes => change(disk, agreed, kind, &outgoing),
        Kind::Unknown(_) => unknown(),
    }
}

fn on_disk(disk: &Disk, sector: u64, data: &Buffer<'_>) -> Option<Extent> {
    Extent::on_disk(sector, u64::try_from(data.len()).ok()?, disk.capacity())
}

/// Plans a request that names parts of the disk: all of them are looked at
/// before the first is touched.
fn change<'m>(disk: &Disk, agreed: Agreed, kind: Kind, outgoing: &Buffer<'m>) -> Plan<'m> {
    let Some(segments) = Segment::list(outgoing) else { return refused() };
    // §5.2.6.2: unknown flags, or any for a discard, are not supported.
    let known = if kind == Kind::WriteZeroes { blk::FLAG_UNMAP } else { 0 };
    if segments.iter().any(|segment| segment.flags & !known != 0) {
        return unknown();
    }
    let max = if kind == Kind::WriteZeroes { MAX_ZEROES_SECTORS } else { MAX_DISCARD_SECTORS };
    let can_unmap = disk.image.geometry().discard_granularity > 0;
    let change = |segment: &Segment| {
        let len = u64::from(segment.sectors) * blk::SECTOR_SIZE;
        let extent = Extent::on_disk(segment.sector, len, disk.capacity());
        let extent = extent.filter(|_| segment.sectors <= max)?;
        Some(if kind == Kind::WriteZeroes {
            Change::WriteZeroes(extent, can_unmap && segment.flags & blk::FLAG_UNMAP != 0)
        } else {
            Change::Discard(extent)
        })
    };
    // Taken from the back, so the driver's first comes last.
    let Some(mut changes) = segments.iter().rev().map(change).collect::<Option<Vec<_>>>() else {
        return refused();
    };
    changes.retain(|change| match change {
        Change::Discard(extent) | Change::WriteZeroes(extent, _) => extent.len > 0,
    });
    let Some(first) = changes.pop() else { return Plan::Answer(blk::S_OK, 0) };
    let flush = agreed.is_write_through(disk);
    Plan::Do(first.operation(), Rest { changes, flush, written: 0 })
}
