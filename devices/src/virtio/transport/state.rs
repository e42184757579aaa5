use super::QueueSetup;

/// What a driver has set, whatever the transport: plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreState {
    /// Bits of [`status`](crate::virtio::spec::status), without NEEDS_RESET.
    pub status: u8,
    /// The features that the driver accepted so far.
    pub driver_features: u64,
    /// Each queue's registers.
    pub queues: Vec<QueueSetup>,
}

impl CoreState {
    /// As after a reset, for queues of at most these `sizes`.
    pub fn new(sizes: &[u16]) -> Self {
        let queues = sizes.iter().map(|max| QueueSetup::new(*max)).collect();
        Self { status: 0, driver_features: 0, queues }
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        (self.status, self.driver_features) = (0, 0);
        for queue in &mut self.queues {
            *queue = QueueSetup::new(queue.max_size());
        }
    }

    /// The registers of queue `index`, with its index in the list.
    pub fn queue_mut(&mut self, index: u32) -> Option<(usize, &mut QueueSetup)> {
        let index = usize::try_from(index).ok()?;
        Some((index, self.queues.get_mut(index)?))
    }
}
