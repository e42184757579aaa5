use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::timerfd::TimerFd;

use super::control::{self, Command};
use super::identity::{self, Identity};
use super::pair::{Pair, Todo};
use super::throttle::Throttle;
use crate::backend::net::Offloads;
use crate::virtio::doorbells;
use crate::virtio::queue::Ring;

/// What an event is about; the doorbells have the numbers of their queues.
pub(super) mod source {
    /// The limits allow more.
    pub(in crate::virtio::net) const TIMER: u32 = 0x1_0000;
    /// A nap ends.
    pub(in crate::virtio::net) const NAP: u32 = 0x1_0001;
    /// The host's end of pair 0, and so on.
    pub(in crate::virtio::net) const BACKENDS: u32 = 0x2_0000;
}

/// The half of the network device that the event loop drives.
pub(super) struct State {
    pub(super) identity: Identity,
    pub(super) pairs: Vec<Pair>,
    pub(super) throttle: Option<Throttle>,
    /// Ends the naps of all pairs together.
    pub(super) nap: TimerFd,
    /// Whether that is set, or its event is on the way.
    pub(super) is_nap_set: bool,
    pub(super) doorbells: Arc<[EventFd]>,
    /// The queues, while the driver is live.
    pub(super) live: Option<Live>,
}

/// What there is between start and stop.
pub(super) struct Live {
    /// All queues, by their index.
    pub(super) rings: Vec<Ring>,
    pub(super) features: u64,
    /// How many pairs are in use.
    active: usize,
}

/// What a queue is for.
enum Role {
    ToGuest(usize),
    ToHost(usize),
    Control,
    /// The driver does not use it, or should not.
    None,
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        doorbells::listen(&self.doorbells, ops);
        for pair in &self.pairs {
            pair.init(ops);
        }
        let nap = Events::with_data(&self.nap, source::NAP, EventSet::IN);
        ops.add(nap).expect("a fresh timer can be polled");
        if let Some(throttle) = &self.throttle {
            let events = Events::with_data_raw(throttle.timer_fd(), source::TIMER, EventSet::IN);
            ops.add(events).expect("a fresh timer can be polled");
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        let index = |number: u32| usize::try_from(number).expect("a small number");
        match events.data() {
            source::TIMER => self.go_on(ops),
            source::NAP => self.wake(ops),
            data @ source::BACKENDS.. => {
                self.hear(index(data - source::BACKENDS), events.event_set(), ops);
            }
            queue => self.serve(index(queue), ops),
        }
    }
}

impl State {
    /// Serves the queues of a driver that accepted `features`.
    pub(super) fn start(&mut self, rings: Vec<Ring>, features: u64) {
        self.live = Some(Live { rings, features, active: 1 });
        // Kicks from before the start may have been drained: look once. This
        // also makes the loop listen for packets.
        for queue in 0..self.doorbells.len() {
            self.ring(queue);
        }
    }

    /// Ends that, and is as before; nothing if it was not started.
    pub(super) fn stop(&mut self) -> Vec<Ring> {
        let Some(live) = self.live.take() else { return Vec::new() };
        self.identity.reset();
        if !enable(&mut self.pairs, 1) {
            log::warn!("virtio-net: the host does not end its queues");
        }
        if let Err(error) = self.set_offloads(Offloads::default()) {
            log::warn!("virtio-net: the offloads cannot be cleared: {error}");
        }
        self.pairs.iter_mut().for_each(Pair::clear);
        live.rings
    }

    /// Rings a doorbell of the device's own, to come back to that queue.
    pub(super) fn ring(&self, queue: usize) {
        doorbells::ring(&self.doorbells, queue);
    }

    /// Tells the host, which has them for all pairs together.
    ///
    /// # Errors
    /// What the host said.
    pub(super) fn set_offloads(&mut self, offloads: Offloads) -> std::io::Result<()> {
        self.pairs.first_mut().map_or(Ok(()), |pair| pair.set_offloads(offloads))
    }

    /// The doorbell of `queue` rang.
    fn serve(&mut self, queue: usize, ops: &mut EventOps) {
        doorbells::silence(&self.doorbells, queue);
        match self.role(queue) {
            Role::ToGuest(pair) => self.receive(pair, ops),
            Role::ToHost(pair) => self.send(pair, ops),
            Role::Control => self.control(queue),
            Role::None => {}
        }
    }

    fn role(&self, queue: usize) -> Role {
        let Some(live) = &self.live else { return Role::None };
        let pair = queue / 2;
        if identity::control_queue(live.features, self.identity.pairs()) == Some(queue) {
            Role::Control
        } else if pair >= live.active {
            Role::None
        } else if queue.is_multiple_of(2) {
            Role::ToGuest(pair)
        } else {
            Role::ToHost(pair)
        }
    }

    /// Something happened at the host's end of `pair`.
    fn hear(&mut self, pair: usize, events: EventSet, ops: &mut EventOps) {
        if events.intersects(EventSet::ERROR | EventSet::HANG_UP) {
            self.pairs[pair].explain();
            self.pairs[pair].lose(ops);
            return self.unlink();
        }
        if self.pairs[pair].has_room(events) {
            self.send(pair, ops);
        }
        if events.contains(EventSet::IN) {
            self.receive(pair, ops);
        }
    }

    /// The time has come that the limits held packets back for.
    fn go_on(&mut self, ops: &mut EventOps) {
        if let Some(throttle) = &mut self.throttle {
            throttle.rang();
        }
        for pair in 0..self.pairs.len() {
            self.receive(pair, ops);
            self.send(pair, ops);
        }
    }

    /// Naps end. A driver that was stopped meanwhile has none.
    fn wake(&mut self, ops: &mut EventOps) {
        // The timer has run out, so that this does not wait.
        if let Err(error) = self.nap.wait() {
            log::warn!("virtio-net: a timer cannot be read: {error}");
        }
        self.is_nap_set = false;
        for pair in 0..self.pairs.len() {
            if self.pairs[pair].wake() {
                self.send(pair, ops);
            }
        }
    }

    /// Has the naps end after `time`, if they do not before.
    fn nap(&mut self, time: Duration, queue: usize) {
        if self.is_nap_set {
            return;
        }
        match self.nap.reset(time, None) {
            Ok(()) => self.is_nap_set = true,
            // Then there is none.
            Err(_) => {
                self.pairs[queue / 2].wake();
                self.ring(queue);
            }
        }
    }

    fn receive(&mut self, pair: usize, ops: &mut EventOps) {
        let Self { live, pairs, throttle, .. } = self;
        let todo = match live {
            Some(live) if pair < live.active => {
                let ring = &mut live.rings[2 * pair];
                pairs[pair].receive(ring, live.features, throttle.as_mut(), ops)
            }
            _ => return pairs[pair].rest(ops),
        };
        self.follow(todo, 2 * pair);
    }

    fn send(&mut self, pair: usize, ops: &mut EventOps) {
        let Self { live, pairs, throttle, .. } = self;
        let Some(live) = live.as_mut().filter(|live| pair < live.active) else { return };
        let ring = &mut live.rings[2 * pair + 1];
        let todo = pairs[pair].send(ring, live.features, throttle.as_mut(), ops);
        self.follow(todo, 2 * pair + 1);
        // An answer may be there already: the driver, which frees what it sent
        // when it receives, is then told of both at once.
        if self.pairs[pair].listens() {
            self.receive(pair, ops);
        }
        if let Some(live) = &mut self.live {
            live.rings[2 * pair + 1].attempt(Ring::signal);
        }
    }

    fn follow(&mut self, todo: Todo, queue: usize) {
        match todo {
            Todo::Nothing => {}
            Todo::Again => self.ring(queue),
            Todo::At(time) => {
                if let Some(throttle) = &mut self.throttle {
                    throttle.wake_at(time);
                }
            }
            Todo::Nap(time) => self.nap(time, queue),
            Todo::Unlink => self.unlink(),
        }
    }

    fn control(&mut self, queue: usize) {
        let Self { live: Some(live), identity, pairs, .. } = self else { return };
        let (before, mut active) = (live.active, live.active);
        let waits = control::serve(&mut live.rings[queue], live.features, |command| {
            match command {
                Command::SetMac(mac) => identity.set_mac(mac),
                Command::SetPairs(count) => {
                    let wanted = usize::from(count);
                    if !(1..=pairs.len()).contains(&wanted) || !enable(pairs, wanted) {
                        return false;
                    }
                    active = wanted;
                }
            }
            true
        });
        live.active = active;
        // The new ones may have been kicked before.
        for queue in 2 * before..2 * active {
            self.ring(queue);
        }
        if waits {
            self.ring(queue);
        }
    }

    /// Tells the driver that the host's end is gone.
    fn unlink(&mut self) {
        let Self { identity, live, .. } = self;
        if !identity.link_up {
            return;
        }
        match live.as_ref().and_then(|live| live.rings.first()) {
            Some(ring) => ring.interrupt().config_changed(|| identity.link_up = false),
            None => identity.link_up = false,
        }
    }
}

/// Has the host use the first `count` pairs; returns whether it does, else
/// those from before.
pub(super) fn enable(pairs: &mut [Pair], count: usize) -> bool {
    for (index, pair) in pairs.iter_mut().enumerate() {
        if let Err(error) = pair.set_enabled(index < count) {
            log::warn!("virtio-net: the host does not change its queues: {error}");
            return false;
        }
    }
    true
}
