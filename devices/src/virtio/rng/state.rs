use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vm_memory::VolatileSlice;
use vmm_core::sys::fill_random;
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::timerfd::TimerFd;

use crate::virtio::queue::{Buffer, Ring};
use crate::virtio::rate::Bucket;

/// The most that a request gets: a device may give less than there is room for
/// (VIRTIO 1.2 §5.4.6), and the loop has other things to do.
pub(super) const MOST: usize = 4096;

/// What a request costs at least, in bytes: small ones are work, too.
pub(super) const LEAST: usize = 64;

/// When to ask a host again that had no random bytes.
const RETRY: Duration = Duration::from_secs(1);

/// What fills memory with random bytes; tests have one of their own.
pub(in crate::virtio) type Source = fn(&VolatileSlice<'_>) -> io::Result<()>;

/// What an event is about.
mod source {
    pub(super) const DOORBELL: u32 = 0;
    pub(super) const TIMER: u32 = 1;
}

/// The half of the device that the event loop drives.
pub(super) struct State {
    pub(super) source: Source,
    doorbell: Arc<EventFd>,
    /// Runs while requests wait for their time.
    timer: TimerFd,
    bucket: Bucket,
    /// The queue, while the driver is live.
    ring: Option<Ring>,
    has_warned: bool,
}

impl State {
    pub(super) fn new(doorbell: Arc<EventFd>, timer: TimerFd, bucket: Bucket) -> Self {
        Self { source: fill_random, doorbell, timer, bucket, ring: None, has_warned: false }
    }

    pub(super) fn start(&mut self, ring: Ring) {
        self.ring = Some(ring);
        // A kick from before the start may have been drained: look once.
        self.knock();
    }

    pub(super) fn stop(&mut self) -> Option<Ring> {
        self.ring.take()
    }

    pub(super) fn ring(&mut self) -> Option<&mut Ring> {
        self.ring.as_mut()
    }

    /// Rings the device's own doorbell, to look at the queue.
    pub(super) fn knock(&self) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbell.write(1);
    }

    /// Answers what the rate allows; the rest when its time has come.
    fn serve(&mut self) {
        let Some(ring) = &mut self.ring else { return };
        let (bucket, source) = (&mut self.bucket, self.source);
        let mut wait = None;
        let is_more = ring.serve_while(|chain| {
            let now = Instant::now();
            if let Some(at) = bucket.next(now) {
                wait = Some((at.saturating_duration_since(now), None));
                return Ok(None);
            }
            match fill(chain.writable, source) {
                Ok(len) => {
                    bucket.take(u64::try_from(len.max(LEAST)).unwrap_or(u64::MAX), now);
                    Ok(Some(len))
                }
                Err(error) => {
                    wait = Some((RETRY, Some(error)));
                    Ok(None)
                }
            }
        });
        match wait {
            Some((time, error)) => self.put_off(time, error),
            None if is_more => self.knock(),
            None => {}
        }
    }

    fn put_off(&mut self, time: Duration, error: Option<io::Error>) {
        if let Some(error) = error
            && !std::mem::replace(&mut self.has_warned, true)
        {
            log::warn!("virtio-rng: the host has no random bytes: {error}");
        }
        // A timer set to nothing would never fire.
        self.timer
            .reset(time.max(Duration::from_nanos(1)), None)
            .expect("a time that is not negative can be set");
    }
}

/// Fills the first [`MOST`] bytes of `buffer`; returns how many there were.
fn fill(mut buffer: Buffer<'_>, source: Source) -> io::Result<usize> {
    let front = buffer.split_front(MOST);
    front.pieces().iter().try_for_each(source)?;
    Ok(front.len())
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        for event in [
            Events::with_data(&*self.doorbell, source::DOORBELL, EventSet::IN),
            Events::with_data(&self.timer, source::TIMER, EventSet::IN),
        ] {
            ops.add(event).expect("a fresh descriptor can be polled");
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        match events.data() {
            // It is quiet once it is set anew; a read could wait if another
            // event has done that meanwhile.
            source::TIMER => self.timer.clear().expect("a timer can be stopped"),
            // Empty if the event came of an earlier start.
            _ => drop(self.doorbell.read()),
        }
        self.serve();
    }
}
