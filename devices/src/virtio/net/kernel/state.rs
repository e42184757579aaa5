use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_core::sys::VhostRing;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::backend::net::{KernelPair, Offloads};
use crate::virtio::DeviceIo;
use crate::virtio::net::Command;
use crate::virtio::net::control;
use crate::virtio::net::identity::{Identity, control_queue};
use crate::virtio::queue::Ring;
use crate::virtio::spec::{feature, net};

/// What the kernel has to know of: how rings and headers look. The rest of
/// what driver and device agreed on is the tap's.
const RING_FEATURES: u64 =
    feature::INDIRECT_DESC | feature::EVENT_IDX | feature::VERSION_1 | net::F_MRG_RXBUF;

/// What an event is about: a queue's doorbell, call or error, or the host's
/// end.
mod source {
    pub(super) const DOORBELL: u32 = 0;
    pub(super) const CALL: u32 = 1 << 16;
    pub(super) const ERROR: u32 = 2 << 16;
    pub(super) const LINK: u32 = 3 << 16;
    /// The part that is a queue.
    pub(super) const QUEUE: u32 = 0xffff;
}

/// Where the control queue is for a driver that knows of one pair only.
const EARLY_CONTROL: usize = 2;

/// Why a queue is no longer served.
#[derive(Debug, thiserror::Error)]
#[error("the host's kernel cannot go on with queue {0}")]
struct Stuck(u16);

/// The half of the device that the event loop drives: it answers the control
/// queue, and passes on what the kernel cannot tell the driver by itself.
pub(super) struct State {
    pub(super) identity: Identity,
    pairs: Vec<Box<dyn KernelPair>>,
    /// How many pairs take part.
    active: usize,
    doorbells: Arc<[EventFd]>,
    /// Of each of the pairs' queues.
    signals: Vec<Signals>,
    live: Option<Live>,
}

/// What the kernel writes of one queue.
struct Signals {
    /// It used buffers.
    call: Arc<EventFd>,
    /// It cannot go on.
    error: EventFd,
}

/// What there is between start and stop.
struct Live {
    /// All queues, by their index.
    rings: Vec<Ring>,
    features: u64,
}

impl State {
    /// Nothing runs yet, and of `pairs` the first takes part.
    pub(super) fn new(
        identity: Identity,
        pairs: Vec<Box<dyn KernelPair>>,
        doorbells: Arc<[EventFd]>,
    ) -> io::Result<Self> {
        let signals = |_| {
            let call = Arc::new(EventFd::new(EFD_NONBLOCK)?);
            Ok(Signals { call, error: EventFd::new(EFD_NONBLOCK)? })
        };
        let signals = (0..2 * pairs.len()).map(signals).collect::<io::Result<_>>()?;
        let active = pairs.len();
        let mut state = Self { identity, pairs, active, doorbells, signals, live: None };
        // A driver that knows nothing of the others would not serve them.
        state.activate(1)?;
        Ok(state)
    }

    /// Tells the host what the guest takes, which it has for all pairs
    /// together; nobody listens once the link is down.
    pub(super) fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        if self.identity.link_up { self.pairs[0].set_offloads(offloads) } else { Ok(()) }
    }

    /// Has the first `count` pairs take part.
    fn activate(&mut self, count: usize) -> io::Result<()> {
        while self.active != count {
            let (pair, enabled) =
                if self.active < count { (self.active, true) } else { (self.active - 1, false) };
            if self.identity.link_up {
                self.pairs[pair].set_enabled(enabled)?;
            }
            self.active = if enabled { pair + 1 } else { pair };
        }
        Ok(())
    }

    /// Has the kernel serve the queues of `io`.
    pub(super) fn start(&mut self, io: DeviceIo) -> io::Result<()> {
        let features = io.features;
        for pair in &mut self.pairs {
            let known = pair.features()? & RING_FEATURES;
            pair.prepare(features & known, &io.mem)?;
        }
        self.live = Some(Live { rings: Ring::all(io), features });
        for index in 0..self.doorbells.len() {
            if let Err(error) = self.run(index) {
                self.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends the service of all queues and returns them; nothing if it was not
    /// started.
    pub(super) fn stop(&mut self) -> Vec<Queue> {
        let count = self.live.as_ref().map_or(0, |live| live.rings.len());
        let queues: Vec<_> = (0..count).filter_map(|index| self.stop_queue(index)).collect();
        if self.live.take().is_some() {
            self.identity.reset();
            let ended = self.activate(1).and_then(|()| self.set_offloads(Offloads::default()));
            if let Err(error) = ended {
                log::warn!("virtio-net: the host does not change its queues: {error}");
            }
        }
        queues
    }

    /// Ends the service of queue `index` and returns it.
    pub(super) fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        let is_kernels = self.is_kernels(index);
        let mut queue = self.live.as_mut()?.rings[index].take_queue();
        if is_kernels && queue.ready() {
            match self.pairs[index / 2].stop_ring(index % 2) {
                // What was taken has been used: nothing is in flight.
                Ok(next) => {
                    queue.set_next_avail(next);
                    queue.set_next_used(next);
                }
                Err(error) => log::warn!("virtio-net: the host refuses to stop a queue: {error}"),
            }
            self.fall_silent(index);
        }
        Some(queue)
    }

    /// Serves `queue` as queue `index` of a live device.
    pub(super) fn start_queue(&mut self, index: usize, queue: Queue) -> io::Result<()> {
        match &mut self.live {
            Some(live) => drop(live.rings[index].replace_queue(queue)),
            None => return Ok(()),
        }
        self.run(index)
    }

    /// Whether the kernel serves queue `index`, if it is ready: it does those
    /// that the driver knows as queues of packets.
    fn is_kernels(&self, index: usize) -> bool {
        let Some(live) = &self.live else { return false };
        let has_all = live.features & net::F_MQ != 0;
        index < if has_all { self.signals.len() } else { 2 }
    }

    fn is_control(&self, index: usize) -> bool {
        let pairs = self.identity.pairs();
        self.live.as_ref().is_some_and(|live| control_queue(live.features, pairs) == Some(index))
    }

    fn run(&mut self, index: usize) -> io::Result<()> {
        let is_kernels = self.is_kernels(index);
        let Some(live) = &self.live else { return Ok(()) };
        let (ring, queue) = (&live.rings[index], live.rings[index].queue());
        if is_kernels && queue.ready() {
            let Signals { call, error } = &self.signals[index];
            // Of an earlier start; fails if that is nothing.
            let _ = error.read();
            // The kernel goes on behind the used index that it finds there.
            let at = GuestAddress(queue.used_ring() + 2);
            let stored = ring.mem().write_obj(queue.next_used().to_le(), at);
            stored.map_err(io::Error::other)?;
            let place = VhostRing {
                size: queue.size(),
                desc: queue.desc_table(),
                avail: queue.avail_ring(),
                used: queue.used_ring(),
                next_avail: queue.next_avail(),
                kick: &self.doorbells[index],
                call,
                error,
            };
            ring.interrupt().follow(number(index), Some(Arc::clone(call)));
            if let Err(error) = self.pairs[index / 2].start_ring(index % 2, &place) {
                ring.interrupt().follow(number(index), None);
                return Err(error);
            }
        }
        // Kicks from before came to nothing: look once. The last one also has
        // the loop find out which queue is for control.
        self.ring(index);
        Ok(())
    }

    fn ring(&self, queue: usize) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbells[queue].write(1);
    }

    /// After queue `index` was stopped: what its call still holds is told now.
    fn fall_silent(&self, index: usize) {
        if let Some(live) = &self.live {
            live.rings[index].interrupt().follow(number(index), None);
            self.pass_on(index);
        }
    }

    /// Tells the driver of used buffers that the host has not told it of.
    fn pass_on(&self, index: usize) {
        // Empty if the host was quicker.
        if self.signals[index].call.read().is_ok()
            && let Some(live) = &self.live
        {
            live.rings[index].interrupt().queue_used(number(index));
        }
    }

    /// The driver broke a rule of queue `index`: nothing more is taken from it.
    fn fail(&mut self, index: usize) {
        // Not, if it is of an earlier start.
        let is_meant = self.signals[index].error.read().is_ok() && self.is_kernels(index);
        let Some(live) = self.live.as_ref().filter(|_| is_meant) else { return };
        let ring = &live.rings[index];
        if !ring.is_ready() {
            return;
        }
        if let Err(error) = self.pairs[index / 2].stop_ring(index % 2) {
            log::warn!("virtio-net: the host refuses to stop a queue: {error}");
        }
        ring.interrupt().needs_reset(&Stuck(number(index)));
        self.fall_silent(index);
    }

    /// A doorbell rang that may be the control queue's.
    fn serve(&mut self, index: usize, ops: &EventOps) {
        self.watch_early(ops);
        // Empty if the event came of an earlier start. The kernel hears of a
        // kick without the count.
        let _ = self.doorbells[index].read();
        if self.is_control(index) && self.control(index) {
            self.ring(index);
        }
    }

    /// Answers the control queue; returns whether more waits.
    fn control(&mut self, index: usize) -> bool {
        let Some(mut live) = self.live.take() else { return false };
        let waits = control::serve(&mut live.rings[index], live.features, |command| {
            match command {
                Command::SetMac(mac) => self.identity.set_mac(mac),
                Command::SetPairs(count) => {
                    let count = usize::from(count);
                    if !(1..=self.pairs.len()).contains(&count) {
                        return false;
                    }
                    if let Err(error) = self.activate(count) {
                        log::warn!("virtio-net: the host does not change its queues: {error}");
                        return false;
                    }
                }
            }
            true
        });
        self.live = Some(live);
        waits
    }

    /// Hears the doorbell of a queue that may be for control or for packets,
    /// if it is for control: the kernel does not take the kicks away.
    fn watch_early(&self, ops: &EventOps) {
        if self.pairs.len() > 1 {
            let is_ours = self.is_control(EARLY_CONTROL);
            let interest = if is_ours { EventSet::IN } else { EventSet::empty() };
            ops.modify(self.doorbell(EARLY_CONTROL, interest))
                .expect("the descriptor was added and is open");
        }
    }

    fn doorbell(&self, index: usize, interest: EventSet) -> Events {
        let data = source::DOORBELL | u32::from(number(index));
        Events::with_data(&self.doorbells[index], data, interest)
    }

    /// Errors of an end that is gone would keep the loop awake.
    fn lose_link(&mut self, ops: &mut EventOps) {
        let Self { identity, live, .. } = self;
        if !identity.link_up {
            return;
        }
        log::warn!("virtio-net: the host's end is gone");
        match live.as_ref().and_then(|live| live.rings.first()) {
            Some(ring) => ring.interrupt().config_changed(|| identity.link_up = false),
            None => identity.link_up = false,
        }
        ops.remove(self.link()).expect("the descriptor was added and is still open");
    }

    /// The queues of an interface end together: the first tells of all.
    fn link(&self) -> Events {
        let fd = self.pairs[0].poll_fd().as_raw_fd();
        Events::with_data_raw(fd, source::LINK, EventSet::empty())
    }
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        let add = |ops: &mut EventOps, event| {
            ops.add(event).expect("a fresh descriptor can be polled");
        };
        for (index, Signals { call, error }) in (0..).zip(&self.signals) {
            add(ops, Events::with_data(&**call, source::CALL | index, EventSet::IN));
            add(ops, Events::with_data(error, source::ERROR | index, EventSet::IN));
        }
        add(ops, self.doorbell(self.doorbells.len() - 1, EventSet::IN));
        if self.pairs.len() > 1 {
            add(ops, self.doorbell(EARLY_CONTROL, EventSet::empty()));
        }
        add(ops, self.link());
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        let index = usize::try_from(events.data() & source::QUEUE).expect("16 bits");
        match events.data() & !source::QUEUE {
            source::DOORBELL => self.serve(index, ops),
            source::CALL => self.pass_on(index),
            source::ERROR => self.fail(index),
            _ => self.lose_link(ops),
        }
    }
}

fn number(index: usize) -> u16 {
    u16::try_from(index).expect("a device has at most 65535 queues")
}
