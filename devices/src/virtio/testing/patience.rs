use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on the slowest machine with the most to do,
/// unless it never happens.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// What `look` finds, sooner or later: for what a thread or another process
/// has yet to do.
///
/// # Panics
/// If it never finds anything.
#[track_caller]
pub fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "what is waited for never comes");
        thread::yield_now();
    }
}
