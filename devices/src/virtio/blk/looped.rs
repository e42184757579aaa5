//! A disk's lanes on the event loop, for tests.

use super::lane::{Lane, Next};
use crate::backend::disk::Channel;
use crate::virtio::lanes::Turns;

/// A queue's channel, which ends each operation at once.
pub(super) struct Sync(pub(super) Box<dyn Channel>);

impl Turns<Lane> for Sync {
    fn turn(&mut self, lane: &mut Lane) -> bool {
        // One that is held back comes again with the next kick.
        let next = lane.turn(&mut *self.0);
        lane.tell();
        match next {
            Next::Now => true,
            Next::Empty => lane.listen() || !lane.is_idle(),
            Next::Later | Next::At(_) => !lane.is_idle(),
        }
    }

    fn drain(&mut self, lane: &mut Lane) {
        while !lane.drain(&mut *self.0) {}
    }
}
