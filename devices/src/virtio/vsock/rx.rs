use vm_memory::VolatileSlice;
use vmm_core::mem::GuestRam;
use zerocopy::IntoBytes;

use super::connection::Due;
use super::hub::{Hub, Work};
use super::link::Read;
use super::table::Token;
use crate::virtio::queue::{Buffer, Chain, Ring, RingError};
use crate::virtio::spec::vsock::{HEADER_LEN, OP_RW};

/// Turns that connections have before other devices have theirs.
const BUDGET: usize = 64;
/// Packets that one connection sends in its turn: one read fills them all.
const MAX_PACKETS: usize = 64;
/// Bytes that one connection sends in its turn.
const MAX_BYTES: usize = 256 << 10;

/// Gives the guest what it is due, as far as it has buffers. Returns true if
/// more could go at once.
pub(super) fn deliver(ring: &mut Ring, hub: &mut Hub) -> Result<bool, RingError> {
    let mem = ring.mem();
    // While there are buffers, only sockets are waited for.
    ring.mute()?;
    for _ in 0..BUDGET {
        let Some(work) = hub.due() else { return Ok(false) };
        let wanted = match work {
            Work::Link(_, Due::Data(credit)) => usize::try_from(credit).unwrap_or(MAX_BYTES),
            _ => 0,
        };
        match gather(ring, &mem, wanted.min(MAX_BYTES))? {
            Buffers::Some(chains) => fill(ring, hub, work, chains)?,
            Buffers::Useless => {}
            Buffers::None => return Ok(false),
        }
    }
    Ok(true)
}

/// What the driver has made available.
enum Buffers<'m> {
    /// Each with room for a header at least.
    Some(Vec<Chain<'m>>),
    /// One that was too small, and went back.
    Useless,
    /// None; it rings for the next.
    None,
}

/// Pops chains for `len` bytes of data, or one for a packet without.
fn gather<'m>(ring: &mut Ring, mem: &'m GuestRam, len: usize) -> Result<Buffers<'m>, RingError> {
    let mut chains: Vec<Chain<'_>> = Vec::new();
    let mut room = 0;
    while chains.is_empty() || (room < len && chains.len() < MAX_PACKETS) {
        let Some(chain) = ring.pop(mem)? else {
            if !chains.is_empty() {
                break;
            }
            if !ring.unmute()? {
                return Ok(Buffers::None);
            }
            ring.mute()?;
            continue;
        };
        let size = chain.writable.len();
        if size == 0 {
            return Err(RingError::Direction);
        }
        if size >= HEADER_LEN + len.min(1) {
            room += size - HEADER_LEN;
            chains.push(chain);
        } else if chains.is_empty() {
            ring.add_used(&[(chain.head, 0)])?;
            ring.signal()?;
            return Ok(Buffers::Useless);
        } else {
            ring.unpop(1);
            break;
        }
    }
    Ok(Buffers::Some(chains))
}

/// Fills `chains` with what is due, and gives back those that it does not
/// need.
fn fill(
    ring: &mut Ring,
    hub: &mut Hub,
    work: Work,
    mut chains: Vec<Chain<'_>>,
) -> Result<(), RingError> {
    let (header, sent) = match work {
        Work::Link(token, Due::Data(credit)) => {
            let used = read(hub, token, credit, &mut chains);
            let left = u16::try_from(chains.len() - used.len()).expect("a few dozen");
            ring.unpop(left);
            hub.turn(work, None);
            ring.add_used(&used)?;
            return ring.signal();
        }
        Work::Link(token, Due::Control { op, flags }) => {
            (hub.header(token, op, flags, 0), Some((op, flags)))
        }
        Work::Reset(header) => (header, None),
    };
    // One, as no data were asked for.
    for chain in &chains {
        chain.writable.copy_from(header.as_bytes());
        ring.add_used(&[(chain.head, HEADER_LEN)])?;
    }
    hub.turn(work, sent);
    ring.signal()
}

/// Reads from the socket of `token` to `chains`, at most `credit` bytes, and
/// puts the headers before that. Returns the chains that are used, in order.
fn read(hub: &mut Hub, token: Token, credit: u32, chains: &mut [Chain<'_>]) -> Vec<(u16, usize)> {
    let mut left = usize::try_from(credit).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    let mut pieces: Vec<VolatileSlice<'_>> = Vec::with_capacity(chains.len());
    let mut packets: Vec<(u16, Buffer<'_>, usize)> = Vec::with_capacity(chains.len());
    for chain in chains {
        let header = chain.writable.split_front(HEADER_LEN);
        let data = chain.writable.split_front(left);
        left -= data.len();
        pieces.extend(data.pieces().iter().cloned());
        packets.push((chain.head, header, data.len()));
    }
    let Read::Data(mut len) = hub.link(token).read(&pieces) else { return Vec::new() };
    let total = u32::try_from(len).expect("credit has 32 bits");
    let mut used = Vec::with_capacity(packets.len());
    for (head, place, room) in packets {
        if len == 0 {
            break;
        }
        let size = room.min(len);
        let wire_size = u32::try_from(size).expect("credit has 32 bits");
        place.copy_from(hub.header(token, OP_RW, 0, wire_size).as_bytes());
        used.push((head, HEADER_LEN + size));
        len -= size;
    }
    hub.link(token).connection.sent_data(total);
    used
}
