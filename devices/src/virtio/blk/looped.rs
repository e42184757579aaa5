//! Lanes served by the event loop, for tests: whatever happens, happens in
//! the order that the test says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;

use super::crew::Crew;
use super::lane::{Lane, Next};
use crate::backend::disk::Channel;
use crate::virtio::Subscriber;

/// The event loop as a crew. Its channels end each operation at once.
pub(super) struct Looped(Arc<Mutex<State>>);

struct State {
    doorbells: Arc<[EventFd]>,
    lanes: Vec<Option<Lane>>,
    channels: Vec<Box<dyn Channel>>,
}

impl Looped {
    /// A crew with a channel for each doorbell.
    pub(super) fn new(doorbells: Arc<[EventFd]>, channels: Vec<Box<dyn Channel>>) -> Self {
        let lanes = doorbells.iter().map(|_| None).collect();
        Self(Arc::new(Mutex::new(State { doorbells, lanes, channels })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew for Looped {
    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.0) as Subscriber)
    }

    fn serve(&mut self, lane: Lane) {
        let mut state = self.state();
        let index = lane.index();
        state.lanes[index] = Some(lane);
        // A kick from before may have been drained: look once.
        state.ring(index);
    }

    fn recall(&mut self, _index: usize) {}

    fn collect(&mut self, index: usize) -> Option<Lane> {
        let state = &mut *self.state();
        let mut lane = state.lanes[index].take()?;
        while !lane.drain(&mut *state.channels[index]) {}
        Some(lane)
    }
}

impl State {
    fn ring(&self, index: usize) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbells[index].write(1);
    }
}

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        for (index, doorbell) in (0..).zip(&*self.doorbells) {
            let events = Events::with_data(doorbell, index, EventSet::IN);
            ops.add(events).expect("a fresh eventfd can be polled");
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let index = usize::try_from(events.data()).expect("a small number");
        // Empty if a stop drained it first.
        let _ = self.doorbells[index].read();
        let Some(lane) = &mut self.lanes[index] else { return };
        // One that is held back comes again with the next kick.
        let next = lane.turn(&mut *self.channels[index]);
        lane.tell();
        let is_wanted = match next {
            Next::Now => true,
            Next::Empty => lane.listen() || !lane.is_idle(),
            Next::Later | Next::At(_) => !lane.is_idle(),
        };
        if is_wanted {
            self.ring(index);
        }
    }
}
