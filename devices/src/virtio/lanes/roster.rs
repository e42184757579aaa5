use virtio_queue::Queue;

use super::{Crew, Lane};
use crate::virtio::Subscriber;

/// The lanes of a device, and who has each.
pub(in crate::virtio) struct Roster<L> {
    crew: Box<dyn Crew<L>>,
    /// The lanes that the crew does not have: those of queues that the driver
    /// left alone or reset. None at all if the device is not started.
    idle: Vec<Option<L>>,
}

impl<L: Lane> Roster<L> {
    /// For a device that is not started.
    pub(in crate::virtio) fn new(crew: Box<dyn Crew<L>>) -> Self {
        Self { crew, idle: Vec::new() }
    }

    /// What is to be registered on the event loop, if that is who serves.
    pub(in crate::virtio) fn subscriber(&self) -> Option<Subscriber> {
        self.crew.subscriber()
    }

    /// Has `lanes` served, which are those of all queues, in order.
    pub(in crate::virtio) fn start(&mut self, lanes: impl Iterator<Item = L>) {
        for lane in lanes {
            if lane.ring().is_ready() {
                self.crew.serve(lane);
                self.idle.push(None);
            } else {
                self.idle.push(Some(lane));
            }
        }
    }

    /// Drains all lanes and gives their queues back. Idempotent.
    pub(in crate::virtio) fn stop(&mut self) -> Vec<Queue> {
        for index in 0..self.idle.len() {
            self.crew.recall(index);
        }
        let lanes: Vec<_> = (0..self.idle.len()).filter_map(|index| self.collect(index)).collect();
        self.idle.clear();
        lanes.into_iter().map(Lane::into_queue).collect()
    }

    /// Drains the lane of queue `index` and gives the queue back; `None` if
    /// the device is not started.
    pub(in crate::virtio) fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        if !self.is_started() {
            return None;
        }
        let mut lane = self.collect(index)?;
        let queue = lane.take_queue();
        self.idle[index] = Some(lane);
        Some(queue)
    }

    /// Has `queue`, which was set up anew, served as the queue `index`.
    pub(in crate::virtio) fn start_queue(&mut self, index: usize, queue: Queue) {
        if self.is_started()
            && let Some(mut lane) = self.collect(index)
        {
            lane.replace_queue(queue);
            self.crew.serve(lane);
        }
    }

    fn is_started(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Takes the lane of queue `index` back from whoever has it.
    fn collect(&mut self, index: usize) -> Option<L> {
        self.idle[index].take().or_else(|| self.crew.collect(index))
    }
}
