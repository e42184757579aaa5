//! Lanes served by the event loop, for tests: whatever happens, happens in
//! the order that the test says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::EventFd;

use super::crew::Crew;
use super::lane::Lane;
use crate::virtio::Subscriber;

/// Requests in one turn of the loop.
const BUDGET: usize = 64;

/// The event loop as a crew.
pub(super) struct Looped(Arc<Mutex<State>>);

struct State {
    doorbells: Arc<[EventFd]>,
    lanes: Vec<Option<Lane>>,
}

impl Looped {
    /// A crew for the queues of these doorbells.
    pub(super) fn new(doorbells: Arc<[EventFd]>) -> Self {
        let lanes = doorbells.iter().map(|_| None).collect();
        Self(Arc::new(Mutex::new(State { doorbells, lanes })))
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
        self.state().lanes[index].take()
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
        let mut left = BUDGET;
        lane.turn(|| {
            let is_over = left == 0;
            left = left.saturating_sub(1);
            is_over
        });
        if lane.listen() {
            self.ring(index);
        }
    }
}
