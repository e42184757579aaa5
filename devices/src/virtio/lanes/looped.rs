//! Lanes served by the event loop, for tests: whatever happens, happens in
//! the order that the test says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;

use super::{Crew, Lane};
use crate::virtio::{Subscriber, doorbells};

/// What the loop does with a queue's lane.
pub(in crate::virtio) trait Turns<L>: Send {
    /// Serves `lane` for a while; returns whether another turn is due.
    fn turn(&mut self, lane: &mut L) -> bool;
    /// Ends what is in flight.
    fn drain(&mut self, lane: &mut L);
}

/// The event loop as a crew.
pub(in crate::virtio) struct Looped<L, T>(Arc<Mutex<State<L, T>>>);

struct State<L, T> {
    doorbells: Arc<[EventFd]>,
    /// For each queue its lane, if it is here, and what is done with it.
    places: Vec<(Option<L>, T)>,
}

impl<L: Lane, T: Turns<L>> Looped<L, T> {
    /// A crew for the queues of these doorbells; `turns` has one for each.
    pub(in crate::virtio) fn new(
        doorbells: Arc<[EventFd]>,
        turns: impl Iterator<Item = T>,
    ) -> Self {
        let places = turns.map(|turns| (None, turns)).collect();
        Self(Arc::new(Mutex::new(State { doorbells, places })))
    }

    fn state(&self) -> MutexGuard<'_, State<L, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Lane, T: Turns<L> + 'static> Crew<L> for Looped<L, T> {
    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.0) as Subscriber)
    }

    fn serve(&mut self, lane: L) {
        let mut state = self.state();
        let index = lane.index();
        state.places[index].0 = Some(lane);
        // A kick from before may have been drained: look once.
        state.ring(index);
    }

    fn recall(&mut self, _index: usize) {}

    fn collect(&mut self, index: usize) -> Option<L> {
        let mut state = self.state();
        let (place, turns) = &mut state.places[index];
        let mut lane = place.take()?;
        turns.drain(&mut lane);
        Some(lane)
    }
}

impl<L, T> State<L, T> {
    fn ring(&self, index: usize) {
        doorbells::ring(&self.doorbells, index);
    }
}

impl<L, T: Turns<L>> MutEventSubscriber for State<L, T> {
    fn init(&mut self, ops: &mut EventOps) {
        doorbells::listen(&self.doorbells, ops);
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let index = usize::try_from(events.data()).expect("a small number");
        doorbells::silence(&self.doorbells, index);
        let (Some(lane), turns) = &mut self.places[index] else { return };
        if turns.turn(lane) {
            self.ring(index);
        }
    }
}
