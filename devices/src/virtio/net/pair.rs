use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use std::{io, mem};

use event_manager::{EventOps, EventSet, Events};

use super::rx::{Receiver, Wait};
use super::throttle::Throttle;
use super::tx::{self, Next, Stream};
use crate::backend::net::{NetBackend, Offloads};
use crate::virtio::queue::Ring;

/// How long a guest that sends may be without buffers for packets to it. One
/// that is merely slow has some sooner.
const PATIENCE: Duration = Duration::from_secs(1);

/// More packets than the host's end can have left when it ends.
const LEFT: usize = 1 << 17;

/// The host's end of a pair of queues, and how far its packets are.
pub(super) struct Pair {
    backend: Box<dyn NetBackend>,
    receiver: Receiver,
    /// What the loop calls the host's end.
    source: u32,
    /// What the loop watches it for.
    watched: EventSet,
    /// Whether the host gives it packets.
    is_enabled: bool,
    /// What the guest sends.
    stream: Stream,
    /// Whether packets to the host wait for the end of a nap.
    is_napping: bool,
    /// Whether a packet to the host waits for room there.
    is_full: bool,
    /// Since when packets to the guest have waited for its buffers.
    starved: Option<Instant>,
    /// Whether the host's end is no more.
    is_gone: bool,
}

/// What a device is to do about a pair of its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// Nothing: an event will come.
    Nothing,
    /// Come back to the queue, once others had their turn.
    Again,
    /// Come back after this time.
    Nap(Duration),
    /// Come back at this time.
    At(Instant),
    /// Tell the driver that there is no link.
    Unlink,
}

impl Pair {
    /// A pair whose events come as `source`; the host gives it packets.
    pub(super) fn new(backend: Box<dyn NetBackend>, source: u32) -> Self {
        Self {
            backend,
            receiver: Receiver::new(),
            source,
            watched: EventSet::empty(),
            is_enabled: true,
            stream: Stream::new(),
            is_napping: false,
            is_full: false,
            starved: None,
            is_gone: false,
        }
    }

    /// Puts the host's end on the loop. Packets are of interest once the
    /// driver has buffers for them.
    pub(super) fn init(&self, ops: &mut EventOps) {
        ops.add(self.events(EventSet::empty())).expect("a fresh descriptor can be polled");
    }

    /// Has the host give this pair packets or not.
    ///
    /// # Errors
    /// What the host said.
    pub(super) fn set_enabled(&mut self, enabled: bool) -> io::Result<()> {
        if self.is_enabled != enabled {
            self.backend.set_enabled(enabled)?;
            self.is_enabled = enabled;
        }
        Ok(())
    }

    /// Tells the host what the guest takes; nobody listens once the host's end
    /// is gone, and the driver may go on without.
    ///
    /// # Errors
    /// What the host said.
    pub(super) fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        if self.is_gone { Ok(()) } else { self.backend.set_offloads(offloads) }
    }

    /// Forgets the packet to the guest that waits, and what it sent.
    pub(super) fn clear(&mut self) {
        self.receiver.clear();
        self.stream = Stream::new();
        self.is_napping = false;
    }

    /// Ends a nap; returns whether there was one.
    pub(super) fn wake(&mut self) -> bool {
        mem::replace(&mut self.is_napping, false)
    }

    /// There is nobody to receive packets.
    pub(super) fn rest(&mut self, ops: &EventOps) {
        self.starved = None;
        let out = if self.is_full { EventSet::OUT } else { EventSet::empty() };
        self.watch(ops, out);
    }

    /// Whether the host's end said that it is writable, having been full.
    pub(super) fn has_room(&mut self, events: EventSet) -> bool {
        events.contains(EventSet::OUT) && mem::replace(&mut self.is_full, false)
    }

    /// Whether packets to the guest are moved as they come.
    pub(super) fn listens(&self) -> bool {
        self.starved.is_none() && self.watched.contains(EventSet::IN)
    }

    /// Moves packets to the guest.
    pub(super) fn receive(
        &mut self,
        ring: &mut Ring,
        features: u64,
        throttle: Option<&mut Throttle>,
        ops: &mut EventOps,
    ) -> Todo {
        if self.is_gone {
            return Todo::Nothing;
        }
        let wait = self.receiver.receive(ring, &mut *self.backend, features, throttle);
        let packets = match wait {
            Wait::Packet => EventSet::IN,
            // Or the loop would spin on a packet that nobody can take.
            Wait::Buffers | Wait::Until(_) => EventSet::empty(),
            Wait::Nothing => {
                self.lose(ops);
                return Todo::Unlink;
            }
        };
        let starved = self.starved.unwrap_or_else(Instant::now);
        self.starved = (wait == Wait::Buffers).then_some(starved);
        let loose = self.loosen();
        self.watch(ops, self.watched & EventSet::OUT | packets | loose);
        match wait {
            Wait::Until(time) => Todo::At(time),
            // Nothing would tell of it, and it was enough for one turn.
            Wait::Packet if self.backend.has_packet() => Todo::Again,
            _ => Todo::Nothing,
        }
    }

    /// If the host's end may take no packets because the guest takes none,
    /// takes those to the guest off it: the guest may still send. Returns what
    /// to watch to go on with that.
    fn loosen(&mut self) -> EventSet {
        let is_stuck = |since: Instant| self.is_full || since.elapsed() >= PATIENCE;
        if !self.starved.is_some_and(is_stuck) {
            return EventSet::empty();
        }
        // Or the loop would spin on packets that nobody takes.
        if self.backend.relieve() { EventSet::IN } else { EventSet::empty() }
    }

    /// Sends packets of the guest's.
    pub(super) fn send(
        &mut self,
        ring: &mut Ring,
        features: u64,
        throttle: Option<&mut Throttle>,
        ops: &EventOps,
    ) -> Todo {
        if self.is_full || self.is_napping {
            return Todo::Nothing;
        }
        let next = tx::send(ring, &mut *self.backend, features, throttle, &mut self.stream);
        self.is_napping = matches!(next, Next::Nap(_));
        self.is_full = next == Next::Room && !self.is_gone;
        let room = if self.is_full { EventSet::OUT } else { EventSet::empty() };
        let packets =
            if self.starved.is_some() { self.loosen() } else { self.watched & EventSet::IN };
        self.watch(ops, packets | room);
        match next {
            Next::Packet | Next::Room => Todo::Nothing,
            Next::Turn => Todo::Again,
            Next::Nap(time) => Todo::Nap(time),
            Next::Until(time) => Todo::At(time),
        }
    }

    /// Says why the host's end is gone, which the loop has told.
    pub(super) fn explain(&mut self) {
        // What comes before its end would not reach the guest any more.
        match (0..LEFT).find_map(|_| self.backend.receive(&[]).err()) {
            Some(error) if error.kind() != io::ErrorKind::WouldBlock => {
                log::warn!("virtio-net: the host's end is gone: {error}");
            }
            _ => log::warn!("virtio-net: the host's end is gone"),
        }
    }

    /// The host's end has no more packets, and takes none; errors would keep
    /// the loop awake.
    pub(super) fn lose(&mut self, ops: &mut EventOps) {
        if !mem::replace(&mut self.is_gone, true) {
            self.is_full = false;
            ops.remove(self.events(EventSet::empty())).expect("the descriptor was added");
        }
    }

    fn watch(&mut self, ops: &EventOps, interest: EventSet) {
        if !self.is_gone && self.watched != interest {
            self.watched = interest;
            ops.modify(self.events(interest)).expect("the descriptor was added and is open");
        }
    }

    fn events(&self, interest: EventSet) -> Events {
        Events::with_data_raw(self.backend.poll_fd().as_raw_fd(), self.source, interest)
    }
}
