use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;

use super::hub::Hub;
use super::{rx, tx};
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

/// The half of the socket device that the event loop drives.
pub(super) struct State {
    pub(super) hub: Hub,
    pub(super) doorbells: Arc<[EventFd]>,
    /// The queues, while the driver is live.
    pub(super) live: Option<[Ring; 3]>,
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        let sockets = Events::with_data_raw(self.hub.poll_fd(), SOCKETS, EventSet::IN);
        let bells = (0..).zip(self.doorbells.iter());
        let bells = bells.map(|(queue, bell)| Events::with_data(bell, queue, EventSet::IN));
        for event in bells.chain([sockets]) {
            ops.add(event).expect("a fresh descriptor can be polled");
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
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
    /// Rings a doorbell of the device's own, to come back to that queue.
    pub(super) fn ring(&self, queue: usize) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbells[queue].write(1);
    }

    fn collect(&mut self) {
        let Some([_, ring, _]) = &mut self.live else { return };
        if ring.attempt(|ring| tx::collect(ring, &mut self.hub)) == Some(true) {
            self.ring(TX);
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
