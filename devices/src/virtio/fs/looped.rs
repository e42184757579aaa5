//! A share's lanes on the event loop, for tests.

use super::lane::Lane;
use crate::virtio::lanes::Turns;

/// Requests in one turn of the loop.
const BUDGET: usize = 64;

/// Serves requests one by one: none is in flight between turns.
pub(super) struct OneByOne;

impl Turns<Lane> for OneByOne {
    fn turn(&mut self, lane: &mut Lane) -> bool {
        let mut left = BUDGET;
        lane.turn(|| {
            let is_over = left == 0;
            left = left.saturating_sub(1);
            is_over
        });
        lane.listen()
    }

    fn drain(&mut self, _lane: &mut Lane) {}
}
