use smallvec::SmallVec;

use crate::virtio::queue::{Ring, RingError};

/// Packets after which the driver is shown what is done, so that it works on
/// them while more are moved.
const MOST: usize = 16;
/// The same in bytes: large packets are worth showing sooner.
const MOST_BYTES: usize = 128 << 10;

/// Chains that are done, and that the driver does not see yet.
#[derive(Default)]
pub(super) struct Used {
    chains: SmallVec<[(u16, usize); MOST]>,
    packets: usize,
    bytes: usize,
}

impl Used {
    /// Adds a chain of which so many bytes were written.
    pub(super) fn push(&mut self, head: u16, written: usize) {
        self.chains.push((head, written));
    }

    /// A packet of so many bytes ends here. Shows the driver what there is if
    /// it is enough, or if it is to be shown `now`.
    ///
    /// # Errors
    /// [`RingError::Queue`] if the rings cannot be reached.
    pub(super) fn end_packet(
        &mut self,
        bytes: usize,
        ring: &mut Ring,
        now: bool,
    ) -> Result<(), RingError> {
        self.packets += 1;
        self.bytes += bytes;
        if now || self.packets >= MOST || self.bytes >= MOST_BYTES {
            self.show(ring)?;
        }
        Ok(())
    }

    /// Shows the driver what there is, at once, and tells it if it wants to be
    /// told.
    ///
    /// # Errors
    /// [`RingError::Queue`] if the rings cannot be reached.
    pub(super) fn show(&mut self, ring: &mut Ring) -> Result<(), RingError> {
        if !self.chains.is_empty() {
            ring.add_used(&self.chains)?;
            ring.signal()?;
        }
        self.chains.clear();
        (self.packets, self.bytes) = (0, 0);
        Ok(())
    }
}
