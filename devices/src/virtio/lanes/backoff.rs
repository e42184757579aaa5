/// Tries in vain, in a row, after which only every 2 to this power'th chance is
/// taken.
const MOST_MISSES: u32 = 10;

/// Takes ever fewer chances to try what keeps being in vain.
#[derive(Default)]
pub(in crate::virtio) struct Backoff {
    /// In a row.
    misses: u32,
    /// Chances to let pass before the next try.
    skips: u32,
}

impl Backoff {
    /// A chance came: whether to try. If so, [`Backoff::hit`] or
    /// [`Backoff::miss`] is to follow.
    pub(in crate::virtio) fn tries(&mut self) -> bool {
        let is_due = self.skips == 0;
        self.skips = self.skips.saturating_sub(1);
        is_due
    }

    /// It was worthwhile.
    pub(in crate::virtio) fn hit(&mut self) {
        *self = Self::default();
    }

    /// It was in vain.
    pub(in crate::virtio) fn miss(&mut self) {
        self.misses = MOST_MISSES.min(self.misses + 1);
        self.skips = (1 << self.misses) - 1;
    }
}
