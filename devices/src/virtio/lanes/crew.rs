use crate::virtio::Subscriber;

/// Whoever serves the lanes of a device, one for each queue.
pub(in crate::virtio) trait Crew<L>: Send {
    /// What is to be registered on the event loop, if that is who serves.
    fn subscriber(&self) -> Option<Subscriber>;
    /// Serves `lane` from now on. The crew does not have this lane.
    fn serve(&mut self, lane: L);
    /// Has the lane of queue `index` drained soon; does not wait.
    fn recall(&mut self, index: usize);
    /// Waits until the lane of queue `index` is drained and takes it back.
    /// `None` if the crew does not have it, or lost it in a panic.
    fn collect(&mut self, index: usize) -> Option<L>;
}
