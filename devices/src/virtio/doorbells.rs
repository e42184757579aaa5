//! The doorbells of a device on the event loop: one for each queue, in order.

use event_manager::{EventOps, EventSet, Events};
use vmm_sys_util::eventfd::EventFd;

/// Has the loop listen to all of them. An event's data is the queue's number.
pub(super) fn listen(doorbells: &[EventFd], ops: &mut EventOps) {
    for (queue, doorbell) in (0..).zip(doorbells) {
        let events = Events::with_data(doorbell, queue, EventSet::IN);
        ops.add(events).expect("a fresh eventfd can be polled");
    }
}

/// Rings for `queue`, to come back to it.
pub(super) fn ring(doorbells: &[EventFd], queue: usize) {
    // Fails only when the counter is full, and then it rings anyway.
    let _ = doorbells[queue].write(1);
}

/// Has the doorbell of `queue` be silent until it is rung again.
pub(super) fn silence(doorbells: &[EventFd], queue: usize) {
    // Empty if a stop was quicker, or the event came of an earlier start.
    let _ = doorbells[queue].read();
}
