use std::io;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::timerfd::TimerFd;

use super::hub::Hub;
use super::tx::Next;
use super::{rx, tx};
use crate::virtio::nap::Naps;
use crate::virtio::queue::Ring;

/// Queue of packets to the guest.
pub(super) const RX: usize = 0;
/// Queue of packets from the guest.
pub(super) const TX: usize = 1;
/// Queue of events: what the guest is told when its address changes under a
/// running system (VIRTIO 1.2 §5.10.6.7), as after a migration.
pub(super) const EVENT: usize = 2;

/// What an event is about: a queue's doorbell, by the queue, or sockets.
const SOCKETS: u32 = 3;
/// The end of a nap.
const NAP: u32 = 4;

/// Found to be best with streams of 64 MiB.
pub(super) const NAPS: Naps = Naps::new(Duration::from_micros(128), Duration::from_micros(256));

/// The half of the socket device that the event loop drives.
pub(super) struct State {
    pub(super) hub: Hub,
    pub(super) doorbells: Arc<[EventFd]>,
    /// The queues, while the driver is live.
    pub(super) live: Option<[Ring; 3]>,
    naps: Naps,
    /// Ends a nap.
    timer: TimerFd,
    /// Whether the timer runs: until then, nothing is taken from the guest.
    is_napping: bool,
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        let sockets = Events::with_data_raw(self.hub.poll_fd(), SOCKETS, EventSet::IN);
        let bells = (0..).zip(self.doorbells.iter());
        let bells = bells.map(|(queue, bell)| Events::with_data(bell, queue, EventSet::IN));
        let nap = Events::with_data(&self.timer, NAP, EventSet::IN);
        for event in bells.chain([sockets, nap]) {
            ops.add(event).expect("a fresh descriptor can be polled");
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        if events.data() == NAP {
            self.wake();
            return self.deliver();
        }
        let queue = usize::try_from(events.data()).unwrap_or(usize::MAX);
        if let Some(bell) = self.doorbells.get(queue) {
            // Empty if the event came of an earlier start.
            let _ = bell.read();
        }
        match queue {
            TX => self.collect(),
            EVENT => self.check_events(),
            RX => {}
            _ => self.hub.poll(),
        }
        self.deliver();
    }
}

impl State {
    /// Without a driver yet. Each of the queues has one of `doorbells`.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub(super) fn new(hub: Hub, doorbells: Arc<[EventFd]>) -> io::Result<Self> {
        let timer = TimerFd::new()?;
        let naps = NAPS;
        Ok(Self { hub, doorbells, live: None, naps, timer, is_napping: false })
    }

    /// Rings a doorbell of the device's own, to come back to that queue.
    pub(super) fn ring(&self, queue: usize) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbells[queue].write(1);
    }

    fn wake(&mut self) {
        // The timer has run out, so that this does not wait.
        let _ = self.timer.wait();
        self.is_napping = false;
        self.collect();
    }

    fn collect(&mut self) {
        let Some([_, ring, _]) = &mut self.live else { return };
        if self.is_napping {
            return;
        }
        let Self { hub, naps, .. } = self;
        match ring.attempt(|ring| tx::collect(ring, hub, naps)) {
            Some(Next::Now) => self.ring(TX),
            Some(Next::Nap(time)) => match self.timer.reset(time, None) {
                Ok(()) => self.is_napping = true,
                // Then there is none.
                Err(_) => self.ring(TX),
            },
            Some(Next::Later) | None => {}
        }
    }

    fn deliver(&mut self) {
        let Some([ring, ..]) = &mut self.live else { return };
        let was_choked = self.hub.is_choked();
        if ring.attempt(|ring| rx::deliver(ring, &mut self.hub)) == Some(true) {
            self.ring(RX);
        }
        if was_choked && !self.hub.is_choked() {
            self.ring(TX);
        }
    }

    /// Nothing is told yet: the buffers stay where they are. One that breaks
    /// a rule should not wait to be found.
    fn check_events(&mut self) {
        let Some([.., ring]) = &mut self.live else { return };
        let mem = ring.mem();
        ring.attempt(|ring| {
            if ring.pop(&mem)?.is_some() {
                ring.unpop(1);
            }
            Ok(())
        });
    }
}
