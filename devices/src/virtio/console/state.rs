use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::timerfd::TimerFd;

use super::Size;
use super::transmit::{self, Turn};
use crate::backend::console::Output;
use crate::virtio::doorbells;
use crate::virtio::queue::{Ring, RingError};

/// Queue of input (VIRTIO 1.2 §5.3.2).
pub(super) const RX: usize = 0;
/// Queue of output.
pub(super) const TX: usize = 1;
/// What the loop calls the timer.
const TIMER: u32 = 2;

/// How long a new driver is not interrupted for input that was there before
/// it. Linux (6.12) gives buffers before its console can take what is in them,
/// and throws away what an interrupt announces until then; without one, it
/// looks for input when somebody opens the console.
const HUSH: Duration = Duration::from_secs(2);

/// The half of the console that the event loop drives.
pub(super) struct State {
    pub(super) output: Arc<Output>,
    pub(super) doorbells: Arc<[EventFd]>,
    /// For whoever has input: it is worth trying again.
    pub(super) ready: Arc<EventFd>,
    /// None if the driver is not told of it.
    pub(super) size: Option<Size>,
    /// The queues, while the driver is live.
    pub(super) live: Option<Live>,
    /// How much of the chain at the head of the transmit queue was taken.
    pub(super) sent: usize,
    /// Whoever has input waits for room.
    pub(super) wanted: bool,
    /// The output is closed once the transmit queue is empty.
    pub(super) closing: bool,
    /// Ends a [`HUSH`].
    pub(super) timer: TimerFd,
}

/// What there is between start and stop.
pub(super) struct Live {
    rx: Ring,
    tx: Ring,
    /// Whether the driver has had no buffers for input yet.
    is_new: bool,
    /// Whether it is not interrupted for input.
    is_hushed: bool,
}

impl Live {
    pub(super) fn new(rx: Ring, tx: Ring) -> Self {
        Self { rx, tx, is_new: true, is_hushed: false }
    }

    pub(super) fn into_rings(self) -> [Ring; 2] {
        [self.rx, self.tx]
    }

    pub(super) fn ring(&mut self, index: usize) -> &mut Ring {
        if index == RX { &mut self.rx } else { &mut self.tx }
    }
}

impl State {
    /// Rings a doorbell of the device's own, to come back to that queue.
    pub(super) fn ring(&self, queue: usize) {
        doorbells::ring(&self.doorbells, queue);
    }

    /// Changes the size; a driver that is live hears of it.
    pub(super) fn resize(&mut self, size: Size) {
        let Some(now) = self.size.as_mut().filter(|now| **now != size) else { return };
        match &self.live {
            Some(live) => live.rx.interrupt().config_changed(|| *now = size),
            None => *now = size,
        }
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
        self.transmit();
    }

    fn transmit(&mut self) {
        let turn = match &mut self.live {
            Some(live) => transmit::transmit(&mut live.tx, &self.output, &mut self.sent),
            None => Turn::Empty,
        };
        match turn {
            Turn::Empty if self.closing => self.output.close(),
            // The driver rings for more, or the output when there is room.
            Turn::Empty | Turn::Full => {}
            Turn::Over => self.ring(TX),
        }
    }

    /// How many bytes of input the driver has buffers for: those of the next
    /// chain, for it is enough to know that there are some.
    pub(super) fn room(&mut self) -> usize {
        self.meet_driver();
        let room = self.live.as_mut().and_then(|live| live.rx.attempt(next_room)).unwrap_or(0);
        self.wanted = room == 0;
        room
    }

    /// Puts the first bytes of `bytes` into the driver's buffers; returns how
    /// many found room.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        if let Some(live) = &mut self.live {
            live.rx.attempt(|ring| deliver(ring, bytes, &mut done));
            if !live.is_hushed {
                live.rx.attempt(Ring::signal);
            }
        }
        self.wanted = done < bytes.len();
        done
    }

    /// Begins a [`HUSH`] if this driver has its first buffers just now, and
    /// input has waited for them.
    fn meet_driver(&mut self) {
        let Some(live) = self.live.as_mut().filter(|live| live.is_new) else { return };
        if live.rx.attempt(|ring| ring.has_more()) == Some(true) {
            live.is_new = false;
            live.is_hushed = self.wanted && self.timer.reset(HUSH, None).is_ok();
        }
    }

    /// Announces the input of a [`HUSH`]: somebody may have opened the console
    /// before that was there.
    fn end_hush(&mut self) {
        // It is readable, so this does not wait; it clears it.
        let _ = self.timer.wait();
        if let Some(live) = &mut self.live {
            live.is_hushed = false;
            live.rx.attempt(Ring::signal);
        }
    }

    /// Calls for input if it is waited for and there is room.
    fn offer_room(&mut self) {
        self.meet_driver();
        if self.wanted && self.room() > 0 {
            // Fails only when the counter is full, and then it is readable too.
            let _ = self.ready.write(1);
        }
    }
}

/// The room in the next chain of the receive queue; 0 if there is none, and
/// then the driver rings when there is.
fn next_room(ring: &mut Ring) -> Result<usize, RingError> {
    let mem = ring.mem();
    ring.mute()?;
    loop {
        if let Some(chain) = ring.pop(&mem)? {
            if chain.writable.is_empty() {
                return Err(RingError::Direction);
            }
            ring.unpop(1);
            return Ok(chain.writable.len());
        }
        if !ring.unmute()? {
            return Ok(0);
        }
        ring.mute()?;
    }
}

/// Counts in `done` what of `bytes` is in the driver's buffers, even if the
/// ring then fails.
fn deliver(ring: &mut Ring, bytes: &[u8], done: &mut usize) -> Result<(), RingError> {
    let mem = ring.mem();
    while *done < bytes.len() && next_room(ring)? > 0 {
        let Some(chain) = ring.pop(&mem)? else { break };
        let len = chain.writable.copy_from(&bytes[*done..]);
        ring.add_used(&[(chain.head, len)])?;
        *done += len;
    }
    Ok(())
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        doorbells::listen(&self.doorbells, ops);
        let events = Events::with_data(&self.timer, TIMER, EventSet::IN);
        ops.add(events).expect("a fresh timer can be polled");
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        if events.data() == TIMER {
            return self.end_hush();
        }
        let queue = usize::try_from(events.data()).expect("a small number");
        doorbells::silence(&self.doorbells, queue);
        if queue == RX { self.offer_room() } else { self.transmit() }
    }
}
