//! Keeps a guest from filling the host's log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Lets so many messages through in each stretch of time.
///
/// ```
/// use std::time::Duration;
/// use vmm_core::ratelimit::RateLimit;
///
/// static LIMIT: RateLimit = RateLimit::new(5, Duration::from_secs(10));
///
/// if let Some(hidden) = LIMIT.admit() {
///     log::warn!("the guest wrote past the disk's end ({hidden} more not shown)");
/// }
/// ```
#[derive(Debug)]
pub struct RateLimit {
    burst: u32,
    per: Duration,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    start: Option<Instant>,
    admitted: u32,
    hidden: u64,
}

impl RateLimit {
    /// At most `burst` messages every `per`.
    pub const fn new(burst: u32, per: Duration) -> Self {
        let window = Window { start: None, admitted: 0, hidden: 0 };
        Self { burst, per, window: Mutex::new(window) }
    }

    /// Whether a message may pass now: then how many were held back since the
    /// last one that passed.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    /// [`RateLimit::admit`] at a time of the caller's.
    pub fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let over =
            window.start.is_none_or(|start| now.saturating_duration_since(start) >= self.per);
        if over {
            window.start = Some(now);
            window.admitted = 0;
        }
        if window.admitted < self.burst {
            window.admitted += 1;
            return Some(std::mem::take(&mut window.hidden));
        }
        window.hidden += 1;
        None
    }
}
