use std::time::{Duration, Instant};

use crate::virtio::lanes::{Backoff, look};

#[cfg(test)]
mod tests;

/// The longest that one more request is waited for.
const LONGEST: Duration = Duration::from_micros(200);
/// The longest that an answer is held back for others.
const HOLD: Duration = Duration::from_millis(1);

/// When a driver that adds requests one by one is told of their answers.
///
/// An interrupt costs a guest more than most requests, and takes it away from
/// adding more. So while requests follow each other closely, the driver is told
/// of all their answers at the end. A driver that waits for each answer is told
/// at once: it is found out now and then, ever less often, that nothing more
/// comes.
#[derive(Default)]
pub(super) struct Burst {
    /// When its first answer was there, and its last request came.
    since: Option<(Instant, Instant)>,
    /// Whether more than one request came so far.
    has_more: bool,
    /// What the driver lately took from one request to the next.
    gap: Option<Duration>,
    /// Of waiting for bursts that have one request.
    backoff: Backoff,
}

impl Burst {
    /// Waits until `found` says that there is another request, for as long as
    /// it seems worthwhile to hold `untold` answers back; returns whether it
    /// came. If not, the driver is to be told: the burst is over.
    pub(super) fn linger(&mut self, untold: usize, found: impl FnMut() -> bool) -> bool {
        self.has_more |= untold > 1;
        if self.since.is_none() && !self.has_more && !self.backoff.tries() {
            return false;
        }
        let start = Instant::now();
        let (first, last) = *self.since.get_or_insert((start, start));
        let longest = self.gap.map_or(LONGEST, |gap| (4 * gap).min(LONGEST));
        let until = (start + longest).min(first + HOLD);
        // Whoever adds without end is told in between.
        let came = if start < first + HOLD { look(until, found) } else { None };
        let Some(now) = came else {
            self.end();
            return false;
        };
        let gap = now - last;
        self.gap = Some(self.gap.map_or(gap, |before| (3 * before + gap) / 4));
        self.since = Some((first, now));
        self.has_more = true;
        true
    }

    fn end(&mut self) {
        if self.has_more {
            self.backoff.hit();
        } else {
            self.backoff.miss();
            // What comes next may be slower.
            self.gap = None;
        }
        self.has_more = false;
        self.since = None;
    }
}
