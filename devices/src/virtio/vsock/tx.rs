use std::time::Duration;

use zerocopy::FromBytes;

use super::Header;
use super::hub::Hub;
use crate::virtio::nap::Naps;
use crate::virtio::queue::{Chain, Ring, RingError};
use crate::virtio::spec::vsock::HEADER_LEN;

/// Packets that are taken before other devices have their turn.
const BUDGET: usize = 128;
/// Packets that go back to the driver together, with one interrupt.
const BATCH: usize = 16;

/// When to take more packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When others had their turn.
    Now,
    /// After that time; until then, the driver does not ring.
    Nap(Duration),
    /// When the driver rings, or when the guest has taken some itself.
    Later,
}

/// Takes packets from the guest. Returns when more are to be taken.
pub(super) fn collect(ring: &mut Ring, hub: &mut Hub, naps: &mut Naps) -> Result<Next, RingError> {
    let mem = ring.mem();
    let mut used = Vec::with_capacity(BATCH);
    ring.mute()?;
    for _ in 0..BUDGET {
        if hub.is_choked() {
            give_back(ring, &mut used)?;
            return Ok(Next::Later);
        }
        if let Some(chain) = ring.pop(&mem)? {
            // The device writes nothing into packets that it takes.
            used.push((chain.head, 0));
            take(hub, chain);
            if used.len() == BATCH {
                give_back(ring, &mut used)?;
            }
        } else {
            give_back(ring, &mut used)?;
            if let Some(nap) = naps.next(hub.take_flow()) {
                return Ok(Next::Nap(nap));
            }
            if !ring.unmute()? {
                return Ok(Next::Later);
            }
            ring.mute()?;
        }
    }
    give_back(ring, &mut used)?;
    Ok(Next::Now)
}

fn give_back(ring: &mut Ring, used: &mut Vec<(u16, usize)>) -> Result<(), RingError> {
    ring.add_used(used)?;
    used.clear();
    ring.signal()
}

/// Takes one packet; what has no whole header is none.
fn take(hub: &mut Hub, chain: Chain<'_>) {
    let mut data = chain.readable;
    let mut bytes = [0; HEADER_LEN];
    if data.split_front(HEADER_LEN).copy_to(&mut bytes) < HEADER_LEN {
        log::debug!("virtio-vsock: a packet without a whole header is dropped");
        return;
    }
    if let Ok(header) = Header::read_from_bytes(&bytes) {
        hub.take(&header, data);
    }
}
