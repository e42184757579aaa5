use super::lane::Lane;
use crate::virtio::Subscriber;

/// Whoever serves the lanes of a share, one for each queue.
pub(super) trait Crew: Send {
    /// What is to be registered on the event loop, if that is who serves.
    fn subscriber(&self) -> Option<Subscriber>;
    /// Serves `lane` from now on. The crew does not have this lane.
    fn serve(&mut self, lane: Lane);
    /// Has the lane of queue `index` handed back soon; does not wait.
    fn recall(&mut self, index: usize);
    /// Waits until the request under way is done, and takes the lane of queue
    /// `index` back. `None` if the crew does not have it.
    fn collect(&mut self, index: usize) -> Option<Lane>;
}
