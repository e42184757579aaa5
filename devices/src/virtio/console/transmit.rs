use std::time::{Duration, Instant};

use vmm_core::mem::GuestRam;

use crate::backend::console::Output;
use crate::virtio::queue::{Chain, Ring, RingError};

/// How much is copied out of guest memory at once.
const PIECE: usize = 4096;
/// The time after which other devices have their turn: a chain may have 4 GiB.
const SHARE: Duration = Duration::from_millis(10);
/// Chains after which they have it, too.
const BUDGET: usize = 256;

/// Why a turn is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The queue is empty, or failed.
    Empty,
    /// The output takes no more: it says when it does.
    Full,
    /// Others want theirs: come back.
    Over,
}

/// Moves what the driver sends to `output`, of which it never waits for room.
///
/// A chain that does not go through whole goes back to the queue, with `sent`
/// bytes of it taken: the driver still owns its place, and nothing but that
/// number is remembered of it.
pub(super) fn transmit(ring: &mut Ring, output: &Output, sent: &mut usize) -> Turn {
    let mem = ring.mem();
    ring.attempt(|ring| {
        let turn = take(ring, &mem, output, sent)?;
        ring.signal()?;
        Ok(turn)
    })
    .unwrap_or(Turn::Empty)
}

fn take(
    ring: &mut Ring,
    mem: &GuestRam,
    output: &Output,
    sent: &mut usize,
) -> Result<Turn, RingError> {
    let end = Instant::now() + SHARE;
    ring.mute()?;
    for _ in 0..BUDGET {
        if output.is_busy() {
            return Ok(Turn::Full);
        }
        let Some(chain) = ring.pop(mem)? else {
            if ring.unmute()? {
                ring.mute()?;
                continue;
            }
            return Ok(Turn::Empty);
        };
        let head = chain.head;
        if !send(chain, output, sent, end) {
            ring.unpop(1);
            return Ok(if output.is_busy() { Turn::Full } else { Turn::Over });
        }
        *sent = 0;
        // The device writes nothing into what is to be sent.
        ring.add_used(&[(head, 0)])?;
        // At once: Linux holds a lock until its text is taken.
        ring.signal()?;
    }
    Ok(Turn::Over)
}

/// Passes on what of a chain comes after the first `sent` bytes; false if it
/// has to wait for another turn.
fn send(chain: Chain<'_>, output: &Output, sent: &mut usize, end: Instant) -> bool {
    let mut rest = chain.readable;
    rest.split_front(*sent);
    let mut piece = [0; PIECE];
    loop {
        let len = rest.split_front(PIECE).copy_to(&mut piece);
        output.push_all(&piece[..len]);
        *sent += len;
        if rest.is_empty() {
            return true;
        }
        if output.is_busy() || Instant::now() >= end {
            return false;
        }
    }
}
