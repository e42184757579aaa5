use std::time::{Duration, Instant};
use std::{io, mem};

use smallvec::SmallVec;
use vm_memory::VolatileSlice;

use super::Header;
use super::throttle::{Direction, Throttle};
use super::used::Used;
use crate::backend::net::NetBackend;
use crate::virtio::nap::{Flow, Naps};
use crate::virtio::queue::{Buffer, Chain, Ring, RingError};
use crate::virtio::spec::feature;
use crate::virtio::spec::net::HEADER_LEN;

/// Packets that one wake-up sends before other devices have their turn.
const BUDGET: usize = 128;
/// The time after which a wake-up sends no more: the loop has other devices.
const SHARE: Duration = Duration::from_millis(10);
/// Packets between two looks at the clock.
const LOOK: usize = 16;
/// Naps of a guest that streams. Linux has data of a millisecond under way.
const NAP: Duration = Duration::from_micros(512);
/// The most pieces of a frame: with the header as many as the host takes.
const MOST_PIECES: usize = 1023;

/// What the sender waits for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Packets from the driver, which rings.
    Packet,
    /// Only its next turn on the loop.
    Turn,
    /// Room at the host's end.
    Room,
    /// The end of a nap of that length; the driver does not ring until then.
    Nap(Duration),
    /// The time when the limits allow more.
    Until(Instant),
}

/// What came since the last look that found the end of the ring.
#[derive(Debug)]
pub(super) struct Stream {
    naps: Naps,
    bytes: u64,
    descriptors: u64,
}

impl Stream {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self { naps: Naps::new(NAP, NAP), bytes: 0, descriptors: 0 }
    }

    /// Adds a packet of so many bytes in so many pieces.
    fn add(&mut self, bytes: usize, pieces: usize, features: u64) {
        let is_indirect = features & feature::INDIRECT_DESC != 0;
        let descriptors = if is_indirect { 1 } else { pieces };
        self.bytes = self.bytes.saturating_add(count(bytes));
        self.descriptors = self.descriptors.saturating_add(count(descriptors));
    }

    /// How long to nap now; such packets may fill a ring of `size`.
    fn nap(&mut self, size: u16) -> Option<Duration> {
        let (bytes, descriptors) = (mem::take(&mut self.bytes), mem::take(&mut self.descriptors));
        let mut flow = Flow::default();
        if bytes > 0 {
            flow.add(bytes, bytes.saturating_mul(size.into()) / descriptors.max(1));
        }
        self.naps.next(flow)
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What became of a packet.
enum Sent {
    /// The host has it, or it is lost, as on any Ethernet.
    Gone,
    /// The host has no room for it.
    Full,
}

/// Sends what the driver, which accepted `features`, made available. A packet
/// that is malformed, or that the host does not take, is dropped. The driver
/// sees which packets are done; [`Ring::signal`] is to tell it of them.
pub(super) fn send(
    ring: &mut Ring,
    backend: &mut dyn NetBackend,
    features: u64,
    throttle: Option<&mut Throttle>,
    stream: &mut Stream,
) -> Next {
    // A packet that was held back goes first.
    if is_full(backend.flush()) {
        return Next::Room;
    }
    let next = ring.attempt(|ring| {
        ring.mute()?;
        let mut used = Used::told_late();
        let next = turn(ring, backend, features, throttle, stream, &mut used)?;
        used.show(ring)?;
        Ok(next)
    });
    // A failed ring has no more packets.
    next.unwrap_or(Next::Packet)
}

fn turn(
    ring: &mut Ring,
    backend: &mut dyn NetBackend,
    features: u64,
    mut throttle: Option<&mut Throttle>,
    stream: &mut Stream,
    used: &mut Used,
) -> Result<Next, RingError> {
    let mem = ring.mem();
    let start = Instant::now();
    for count in 1..=BUDGET {
        let held = throttle.as_ref().and_then(|limits| limits.next(Direction::ToHost));
        if let Some(until) = held {
            return Ok(end(backend, Next::Until(until)));
        }
        let Some(chain) = ring.pop(&mem)? else {
            // What is sent is shown first: it may be what the driver waits for.
            used.show(ring)?;
            if is_full(backend.flush()) {
                return Ok(Next::Room);
            }
            if let Some(nap) = stream.nap(ring.size()) {
                return Ok(Next::Nap(nap));
            }
            if ring.unmute()? {
                ring.mute()?;
                continue;
            }
            return Ok(Next::Packet);
        };
        let head = chain.head;
        let len = chain.readable.len();
        match transmit(chain, backend, features, throttle.as_deref_mut(), stream) {
            Sent::Gone => used.push(head, 0),
            Sent::Full => {
                ring.unpop(1);
                return Ok(Next::Room);
            }
        }
        used.end_packet(len, ring, false)?;
        if count.is_multiple_of(LOOK) && start.elapsed() >= SHARE {
            break;
        }
    }
    Ok(end(backend, Next::Turn))
}

/// Ends a batch after which `next` is to be waited for.
fn end(backend: &mut dyn NetBackend, next: Next) -> Next {
    if is_full(backend.flush()) { Next::Room } else { next }
}

/// Whether a packet has to wait for room; one that failed is lost.
fn is_full(result: io::Result<()>) -> bool {
    match result {
        Ok(()) => false,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
        Err(error) => {
            log::debug!("virtio-net: a packet is lost: {error}");
            false
        }
    }
}

fn transmit(
    chain: Chain<'_>,
    backend: &mut dyn NetBackend,
    features: u64,
    throttle: Option<&mut Throttle>,
    stream: &mut Stream,
) -> Sent {
    let Some((header, frame)) = packet(chain, features) else { return Sent::Gone };
    let mut bytes = header.to_bytes();
    let mut pieces: SmallVec<[VolatileSlice<'_>; 8]> = SmallVec::new();
    pieces.push(VolatileSlice::from(&mut bytes[..]));
    pieces.extend(frame.pieces().iter().copied());
    if is_full(backend.send(&pieces)) {
        return Sent::Full;
    }
    stream.add(frame.len(), pieces.len(), features);
    if let Some(limits) = throttle {
        limits.take(Direction::ToHost, header, frame.len());
    }
    Sent::Gone
}

/// Cuts a chain into header and frame, wherever its buffers end. The header is
/// read once, and what the host is told is made of what was read.
fn packet(chain: Chain<'_>, features: u64) -> Option<(Header, Buffer<'_>)> {
    let mut frame = chain.readable;
    let mut header = [0; HEADER_LEN];
    if frame.split_front(HEADER_LEN).copy_to(&mut header) < HEADER_LEN {
        return None;
    }
    if frame.pieces().len() > MOST_PIECES {
        return None;
    }
    let header = Header::from_bytes(&header).checked(frame.len(), features)?;
    Some((header, frame))
}
