//! Devices whose queues are lanes: each is served by a thread of its own, or
//! in tests by the event loop, and changes hands when it is stopped.

mod backoff;
mod crew;
#[cfg(any(test, feature = "testing"))]
mod looped;
mod pace;
mod post;
mod roster;
mod workers;

use virtio_queue::Queue;

pub(super) use backoff::Backoff;
pub(super) use crew::Crew;
#[cfg(any(test, feature = "testing"))]
pub(super) use looped::{Looped, Turns};
pub(super) use pace::{Pace, look};
pub(super) use post::Post;
pub(super) use roster::Roster;
pub(super) use workers::{Work, Workers};

use super::queue::Ring;

/// A queue and what serves it.
pub(super) trait Lane: Send + 'static {
    /// The queue's ring.
    fn ring(&self) -> &Ring;
    /// Gives the queue back, and is left with one that is not `ready()`.
    /// Nothing is in flight.
    fn take_queue(&mut self) -> Queue;
    /// Goes on with `queue`, set up anew. Nothing is in flight.
    fn replace_queue(&mut self, queue: Queue);
    /// Gives the queue back. Nothing is in flight.
    fn into_queue(self) -> Queue;

    /// Which queue it is.
    fn index(&self) -> usize {
        self.ring().index().into()
    }
}
