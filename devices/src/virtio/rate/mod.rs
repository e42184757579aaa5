//! Rate limits: token buckets that say when to go on instead of waiting.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// The time for which a bucket saves up what was not used.
pub const BURST: Duration = Duration::from_millis(100);

/// The least time that a caller is told to wait: at high rates the tokens of
/// this time then come at once, which saves waking up for each.
const QUANTUM: Duration = Duration::from_millis(1);

const PICOS_PER_SECOND: u128 = 1_000_000_000_000;

/// A token bucket, filled at a constant rate and full at first.
///
/// Something may be taken as long as there is anything at all in it; what is
/// taken beyond that is owed, and delays what comes next. So a piece of work
/// may be larger than the bucket, and the long-term rate is exact.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: NonZeroU64,
    /// Picoseconds after `start` at which the bucket would be full again,
    /// were nothing more taken.
    full_at: u128,
    start: Instant,
    burst: Duration,
}

impl Bucket {
    /// A bucket for `rate` tokens a second, full at `now` with those of
    /// [`BURST`].
    pub fn new(rate: NonZeroU64, now: Instant) -> Self {
        Self::with_burst(rate, BURST, now)
    }

    /// A bucket for `rate` tokens a second, full at `now` with those of
    /// `burst`.
    pub fn with_burst(rate: NonZeroU64, burst: Duration, now: Instant) -> Self {
        Self { rate, full_at: 0, start: now, burst }
    }

    /// When something may be taken: `None` if at `now`.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let at = self.full_at.saturating_sub(picos(self.burst));
        if at <= self.since_start(now) {
            return None;
        }
        let nanos = u64::try_from(at.div_ceil(1000)).unwrap_or(u64::MAX);
        let at = self.start.checked_add(Duration::from_nanos(nanos));
        // 584 years are as good as any other time that does not come.
        Some(at.unwrap_or(now + BURST).max(now + QUANTUM))
    }

    /// Takes `count` tokens at `now`, owing what is not there.
    pub fn take(&mut self, count: u64, now: Instant) {
        let cost = u128::from(count) * PICOS_PER_SECOND / u128::from(self.rate.get());
        self.full_at = self.full_at.max(self.since_start(now)).saturating_add(cost);
    }

    fn since_start(&self, now: Instant) -> u128 {
        picos(now.saturating_duration_since(self.start))
    }
}

fn picos(time: Duration) -> u128 {
    time.as_nanos() * 1000
}

/// What a device may do in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Operations.
    pub operations: Option<NonZeroU64>,
    /// Bytes moved.
    pub bytes: Option<NonZeroU64>,
}

/// Holds a device to its [`Limits`].
#[derive(Clone, Debug)]
pub struct Limiter {
    operations: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Limiter {
    /// A limiter whose buckets are full at `now`; `None` if there are no limits.
    pub fn new(limits: Limits, now: Instant) -> Option<Self> {
        let bucket = |rate| Bucket::new(rate, now);
        (limits != Limits::default()).then(|| Self {
            operations: limits.operations.map(bucket),
            bytes: limits.bytes.map(bucket),
        })
    }

    /// When the next operation may start: `None` if at `now`.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let next = |bucket: &Option<Bucket>| bucket.as_ref().and_then(|b| b.next(now));
        next(&self.operations).max(next(&self.bytes))
    }

    /// Notes an operation that moves `bytes`, started at `now`.
    pub fn take(&mut self, bytes: u64, now: Instant) {
        self.take_several(1, bytes, now);
    }

    /// Notes `operations` that move `bytes` together, started at `now`.
    pub fn take_several(&mut self, operations: u64, bytes: u64, now: Instant) {
        if let Some(bucket) = &mut self.operations {
            bucket.take(operations, now);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.take(bytes, now);
        }
    }
}
