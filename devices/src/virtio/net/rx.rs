use std::io;
use std::time::Instant;

use vm_memory::VolatileSlice;

use super::Header;
use super::header::FRAME_MAX;
use super::room::Room;
use super::throttle::{Direction, Throttle};
use super::used::Used;
use crate::backend::net::NetBackend;
use crate::virtio::queue::{Ring, RingError};
use crate::virtio::spec::net::{F_MRG_RXBUF, HEADER_LEN};

/// Packets that one wake-up delivers before other devices have their turn.
const BUDGET: usize = 128;
/// The largest packet, in bytes, header included.
const LARGEST: usize = HEADER_LEN + FRAME_MAX;
/// Room for a packet of an ordinary network, in bytes.
const ORDINARY: usize = 2048;

/// What the receiver waits for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// A packet from the host.
    Packet,
    /// Buffers from the driver.
    Buffers,
    /// The time when the limits allow more.
    Until(Instant),
    /// Nothing: the host's end is gone.
    Nothing,
}

/// Packets on their way to the guest, one at a time.
///
/// The host puts them straight into the driver's buffers. Only what does not
/// fit into those that are there comes here: the end of a packet that is larger
/// than those before, or a packet that has to wait.
pub(super) struct Receiver {
    /// The packet that waits, or room for the end of one.
    packet: Vec<u8>,
    /// Length of the packet that waits for buffers; 0 if none does.
    len: usize,
    /// How much room the next packet is expected to need.
    expected: usize,
    /// Whether several packets came at the last wake-up.
    is_busy: bool,
}

/// What became of a packet.
enum Delivery {
    /// It is in the room.
    Done,
    /// No buffers that may come could hold it.
    Dropped,
    /// It waits here, and the driver rings when it adds buffers.
    Waits,
}

/// What came from the host.
enum Came {
    /// A packet of this length, of which so many bytes are in the room.
    Packet(usize, usize),
    /// Nothing, but another look may find something.
    Nothing,
    /// Nothing, and this is to be waited for.
    Wait(Wait),
}

impl Receiver {
    pub(super) fn new() -> Self {
        // Zeroed memory costs the host nothing until a packet fills it.
        Self { packet: vec![0; LARGEST], len: 0, expected: ORDINARY, is_busy: false }
    }

    /// Forgets the packet that waits.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Moves packets from `backend` to `ring`, for a driver that accepted
    /// `features`: in several chains each if it can merge them.
    pub(super) fn receive(
        &mut self,
        ring: &mut Ring,
        backend: &mut dyn NetBackend,
        features: u64,
        throttle: Option<&mut Throttle>,
    ) -> Wait {
        let mem = ring.mem();
        let most = if features & F_MRG_RXBUF != 0 { ring.size() } else { 1 };
        let wait = ring.attempt(|ring| {
            let (mut room, mut used) = (Room::new(&mem, most), Used::default());
            // While there are buffers, only packets are waited for.
            ring.mute()?;
            let wait = self.turn((ring, &mut room, &mut used), backend, throttle)?;
            room.give_back(ring);
            used.show(ring)?;
            Ok(wait)
        });
        // A failed ring gets no more buffers either.
        wait.unwrap_or(Wait::Buffers)
    }

    fn turn(
        &mut self,
        (ring, room, used): (&mut Ring, &mut Room<'_>, &mut Used),
        backend: &mut dyn NetBackend,
        mut throttle: Option<&mut Throttle>,
    ) -> Result<Wait, RingError> {
        let was_busy = std::mem::replace(&mut self.is_busy, false);
        for count in 0..BUDGET {
            let held = throttle.as_ref().and_then(|limits| limits.next(Direction::ToGuest));
            if let Some(until) = held {
                return Ok(Wait::Until(until));
            }
            let (len, inside) = match self.next_packet(ring, room, backend)? {
                Came::Packet(len, inside) => (len, inside),
                Came::Nothing => continue,
                Came::Wait(wait) => return Ok(wait),
            };
            match self.deliver(ring, room, len, inside)? {
                Delivery::Waits => return Ok(Wait::Buffers),
                Delivery::Dropped => self.len = 0,
                Delivery::Done => {
                    self.len = 0;
                    if let Some(limits) = throttle.as_deref_mut() {
                        limits.take(Direction::ToGuest, header(room), len - HEADER_LEN);
                    }
                    room.use_up(len, used);
                    self.is_busy = count > 0;
                    // What comes alone is waited for: what follows is looked
                    // for afterwards.
                    used.end_packet(len, ring, count == 0 && !was_busy)?;
                }
            }
        }
        Ok(Wait::Packet)
    }

    /// The packet that waits here, or the next of the host's.
    fn next_packet(
        &mut self,
        ring: &mut Ring,
        room: &mut Room<'_>,
        backend: &mut dyn NetBackend,
    ) -> Result<Came, RingError> {
        if self.len > 0 {
            return Ok(Came::Packet(self.len, 0));
        }
        room.fill(ring, self.expected)?;
        if room.bytes() > 0 {
            return Ok(self.fetch(room, backend));
        }
        if ring.unmute()? {
            ring.mute()?;
            return Ok(Came::Nothing);
        }
        Ok(Came::Wait(Wait::Buffers))
    }

    /// Has the host put a packet into the room, and what does not fit behind
    /// as much as does here.
    fn fetch(&mut self, room: &Room<'_>, backend: &mut dyn NetBackend) -> Came {
        let mut pieces = room.pieces();
        let inside = LARGEST.min(pieces.iter().map(VolatileSlice::len).sum());
        if inside < LARGEST {
            pieces.push(VolatileSlice::from(&mut self.packet[inside..]));
        }
        match backend.receive(&pieces) {
            Ok(len) => {
                let less = self.expected - self.expected / 8;
                let enough = if len > ORDINARY { 4 * len } else { ORDINARY };
                self.expected = less.max(enough).min(LARGEST);
                Came::Packet(len.min(LARGEST), inside.min(len))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Came::Wait(Wait::Packet),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Came::Nothing,
            Err(error) => {
                log::warn!("virtio-net: the host's end is gone: {error}");
                Came::Wait(Wait::Nothing)
            }
        }
    }

    /// Makes the room hold a packet of `len` bytes, of which it holds the
    /// first `inside`; the others are here.
    fn deliver(
        &mut self,
        ring: &mut Ring,
        room: &mut Room<'_>,
        len: usize,
        inside: usize,
    ) -> Result<Delivery, RingError> {
        if len < HEADER_LEN {
            return Ok(Delivery::Dropped);
        }
        loop {
            room.fill(ring, len)?;
            if room.bytes() >= len {
                break;
            }
            if room.is_all() {
                return Ok(Delivery::Dropped);
            }
            // Before the chains go back: the driver is to ring for others.
            if !ring.unmute()? {
                room.read(&mut self.packet[..inside]);
                self.len = len;
                return Ok(Delivery::Waits);
            }
            ring.mute()?;
        }
        room.write(inside, &self.packet[inside..len]);
        let count = room.count(len);
        room.write(HEADER_LEN - 2, &count.to_le_bytes());
        Ok(Delivery::Done)
    }
}

/// The header of the packet in the room. The driver may have changed it.
fn header(room: &Room<'_>) -> Header {
    let mut header = [0; HEADER_LEN];
    room.read(&mut header);
    Header::from_bytes(&header)
}
