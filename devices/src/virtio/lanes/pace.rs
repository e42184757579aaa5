use std::hint;
use std::time::{Duration, Instant};

use super::backoff::Backoff;

#[cfg(test)]
mod tests;

/// The longest that a thread looks for more before it sleeps.
const LONGEST: Duration = Duration::from_micros(50);
/// Looks between two of the clock.
const LOOKS: usize = 8;

/// How long a thread looks for more before it sleeps.
///
/// To be woken costs the driver a doorbell and the thread a switch, together
/// more than most requests. So a thread that keeps being woken soon after it
/// fell asleep looks around for as long first. It does so ever less often where
/// that is in vain, as on a host whose processors have other things to do; an
/// idle queue costs nothing.
#[derive(Default)]
pub(in crate::virtio) struct Pace {
    /// Whether the last sleep was short.
    is_brisk: bool,
    backoff: Backoff,
}

impl Pace {
    /// Looks for more by `found`, if that seems worthwhile; returns whether it
    /// came.
    pub(in crate::virtio) fn linger(&mut self, found: impl FnMut() -> bool) -> bool {
        if !self.is_brisk || !self.backoff.tries() {
            return false;
        }
        let came = look(Instant::now() + LONGEST, found).is_some();
        if came {
            self.backoff.hit();
        } else {
            self.backoff.miss();
        }
        came
    }

    /// Notes for how long the thread slept.
    pub(in crate::virtio) fn slept(&mut self, time: Duration) {
        self.is_brisk = time < LONGEST;
    }
}

/// When something was found; `None` if not until then.
pub(in crate::virtio) fn look(until: Instant, mut found: impl FnMut() -> bool) -> Option<Instant> {
    loop {
        let has_found = (0..LOOKS).any(|_| {
            hint::spin_loop();
            found()
        });
        let now = Instant::now();
        if has_found || now >= until {
            return has_found.then_some(now);
        }
    }
}
