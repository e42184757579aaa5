use smallvec::SmallVec;

use crate::virtio::queue::{Ring, RingError};

/// Packets after which the driver is shown what is done, so that it works on
/// them while more are moved.
const MOST: usize = 16;
/// The same in bytes: large packets are worth showing sooner.
const MOST_BYTES: usize = 128 << 10;
/// How often it is shown before a driver that is told late is told.
const MOST_SHOWN: usize = 4;

/// Chains that are done, and that the driver does not see yet.
#[derive(Default)]
pub(super) struct Used {
    chains: SmallVec<[(u16, usize); MOST]>,
    packets: usize,
    bytes: usize,
    /// Whether the driver is not told yet of what it is shown, and how often
    /// that was so since it was told.
    late: Option<usize>,
}

impl Used {
    /// For a driver that sees what is done, and is told of it in the end by
    /// [`Ring::signal`], if there is not too much of it.
    pub(super) fn told_late() -> Self {
        Self { late: Some(0), ..Self::default() }
    }

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
    /// told, unless that is to be late.
    ///
    /// # Errors
    /// [`RingError::Queue`] if the rings cannot be reached.
    pub(super) fn show(&mut self, ring: &mut Ring) -> Result<(), RingError> {
        if !self.chains.is_empty() {
            ring.add_used(&self.chains)?;
            self.late = self.late.map(|shown| (shown + 1) % MOST_SHOWN);
            if matches!(self.late, None | Some(0)) {
                ring.signal()?;
            }
        }
        self.chains.clear();
        (self.packets, self.bytes) = (0, 0);
        Ok(())
    }
}
