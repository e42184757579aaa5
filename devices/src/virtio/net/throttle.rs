use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use vmm_sys_util::timerfd::TimerFd;

use super::Header;
use crate::virtio::rate::{Limiter, Limits};

/// Tells the time.
pub(super) type Clock = Box<dyn Fn() -> Instant + Send>;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToGuest,
    ToHost,
}

/// Holds a device to its limits, each direction for itself and all queues of
/// one together, and wakes the loop when it may go on.
pub(super) struct Throttle {
    to_guest: Limiter,
    to_host: Limiter,
    clock: Clock,
    timer: TimerFd,
    /// When the timer rings.
    due: Option<Instant>,
}

impl Throttle {
    /// None if there are no limits.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub(super) fn new(limits: Limits, clock: Clock) -> io::Result<Option<Self>> {
        let Some(limiter) = Limiter::new(limits, clock()) else { return Ok(None) };
        let timer = TimerFd::new()?;
        Ok(Some(Self { to_guest: limiter.clone(), to_host: limiter, clock, timer, due: None }))
    }

    /// What becomes readable when the time has come.
    pub(super) fn timer_fd(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// When the next packet may go: `None` if now.
    pub(super) fn next(&self, direction: Direction) -> Option<Instant> {
        match direction {
            Direction::ToGuest => &self.to_guest,
            Direction::ToHost => &self.to_host,
        }
        .next((self.clock)())
    }

    /// Notes a frame of `len` bytes under `header`, which counts as all the
    /// packets that it is cut to.
    pub(super) fn take(&mut self, direction: Direction, header: Header, len: usize) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let now = (self.clock)();
        match direction {
            Direction::ToGuest => &mut self.to_guest,
            Direction::ToHost => &mut self.to_host,
        }
        .take_several(count(header.packets(len)), count(len), now);
    }

    /// Has the timer ring at `time`, if not before.
    pub(super) fn wake_at(&mut self, time: Instant) {
        if self.due.is_some_and(|due| due <= time) {
            return;
        }
        // Zero would switch the timer off.
        let rest = time.saturating_duration_since((self.clock)()).max(Duration::from_nanos(1));
        match self.timer.reset(rest, None) {
            Ok(()) => self.due = Some(time),
            Err(error) => log::warn!("virtio-net: a timer cannot be set: {error}"),
        }
    }

    /// The timer has rung.
    pub(super) fn rang(&mut self) {
        self.due = None;
        // It is readable, so this does not wait; it clears it.
        if let Err(error) = self.timer.wait() {
            log::warn!("virtio-net: a timer cannot be read: {error}");
        }
    }
}
