use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;

use super::rx::{Receiver, Wait};
use super::tx;
use crate::backend::net::{NetBackend, Offloads};
use crate::virtio::queue::Ring;
use crate::virtio::spec::net;

/// Queue of packets to the guest.
pub(super) const RX: usize = 0;
/// Queue of packets from the guest.
pub(super) const TX: usize = 1;

/// What an event is about.
mod source {
    pub(super) const RX_DOORBELL: u32 = 0;
    pub(super) const TX_DOORBELL: u32 = 1;
    pub(super) const BACKEND: u32 = 2;
}

/// The half of the network device that the event loop drives.
pub(super) struct State {
    pub(super) backend: Box<dyn NetBackend>,
    pub(super) doorbells: Arc<[EventFd]>,
    pub(super) receiver: Receiver,
    /// The queues, while the driver is live.
    pub(super) live: Option<Live>,
    /// Whether the host's end is still there.
    pub(super) link_up: bool,
}

/// What there is between start and stop.
pub(super) struct Live {
    pub(super) rx: Ring,
    pub(super) tx: Ring,
    pub(super) features: u64,
}

impl Live {
    pub(super) fn ring(&mut self, index: usize) -> &mut Ring {
        if index == RX { &mut self.rx } else { &mut self.tx }
    }
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        let backend = self.backend.poll_fd().as_raw_fd();
        let doorbell =
            |queue: usize, source| Events::with_data(&self.doorbells[queue], source, EventSet::IN);
        for event in [
            doorbell(RX, source::RX_DOORBELL),
            doorbell(TX, source::TX_DOORBELL),
            // Packets are of interest once the driver has buffers for them.
            Events::with_data_raw(backend, source::BACKEND, EventSet::empty()),
        ] {
            ops.add(event).expect("a fresh descriptor can be polled");
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        match events.data() {
            source::TX_DOORBELL => self.send(),
            source::RX_DOORBELL => {
                // Empty if the event came of an earlier start.
                let _ = self.doorbells[RX].read();
                self.receive(ops);
            }
            _ if events.event_set().intersects(EventSet::ERROR | EventSet::HANG_UP) => {
                log::warn!("virtio-net: the host's end is gone");
                self.lose_link(ops);
            }
            _ => self.receive(ops),
        }
    }
}

impl State {
    /// Rings a doorbell of the device's own, to come back to that queue.
    pub(super) fn ring(&self, queue: usize) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbells[queue].write(1);
    }

    /// Tells the host what the guest takes; nobody listens once the link is
    /// down, and the driver may go on without.
    pub(super) fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        if self.link_up { self.backend.set_offloads(offloads) } else { Ok(()) }
    }

    fn send(&mut self) {
        let _ = self.doorbells[TX].read();
        let Some(live) = &mut self.live else { return };
        if tx::send(&mut live.tx, &mut *self.backend, live.features) {
            self.ring(TX);
        }
    }

    fn receive(&mut self, ops: &mut EventOps) {
        if !self.link_up {
            return;
        }
        let wait = match &mut self.live {
            Some(live) => {
                let mergeable = live.features & net::F_MRG_RXBUF != 0;
                self.receiver.receive(&mut live.rx, &mut *self.backend, mergeable)
            }
            None => Wait::Buffers,
        };
        match wait {
            Wait::Packet => self.watch(ops, EventSet::IN),
            // Or the loop would spin on a packet that nobody can take.
            Wait::Buffers => self.watch(ops, EventSet::empty()),
            Wait::Turn => {
                self.watch(ops, EventSet::empty());
                self.ring(RX);
            }
            Wait::Nothing => self.lose_link(ops),
        }
    }

    fn watch(&self, ops: &EventOps, interest: EventSet) {
        let fd = self.backend.poll_fd().as_raw_fd();
        ops.modify(Events::with_data_raw(fd, source::BACKEND, interest))
            .expect("the descriptor was added and is still open");
    }

    /// The backend has no more packets; errors would keep the loop awake.
    fn lose_link(&mut self, ops: &mut EventOps) {
        if !std::mem::replace(&mut self.link_up, false) {
            return;
        }
        let fd = self.backend.poll_fd().as_raw_fd();
        ops.remove(Events::with_data_raw(fd, source::BACKEND, EventSet::empty()))
            .expect("the descriptor was added and is still open");
        if let Some(live) = &self.live {
            live.rx.interrupt().config_changed(|| ());
        }
    }
}
