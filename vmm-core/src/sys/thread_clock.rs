use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::gettid;

/// The processor time that one thread has used, for other threads to read.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(ClockId);

impl ThreadClock {
    /// The clock of the calling thread.
    pub fn of_this_thread() -> Self {
        // How the kernel numbers these clocks (include/linux/posix-timers.h):
        // the thread's number inverted, then "per thread" and "scheduler".
        const PER_THREAD_SCHEDULED: i32 = 0b110;
        let number = (!gettid().as_raw() << 3) | PER_THREAD_SCHEDULED;
        Self(ClockId::from_raw(number))
    }

    /// The time used so far, guest time included; `None` once the thread is
    /// gone.
    pub fn now(self) -> Option<Duration> {
        self.0.now().ok().map(Duration::from)
    }
}
