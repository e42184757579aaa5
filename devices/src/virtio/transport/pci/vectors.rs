use std::sync::atomic::{AtomicU16, Ordering};

use crate::pci::MsixTable;
use crate::virtio::{Event, Messages};

/// "No vector": the event sends no message (VIRTIO 1.2 §4.1.5.1.2).
pub(super) const NO_VECTOR: u16 = 0xffff;

/// Which entry of the MSI-X table each event signals. Read by whoever serves
/// a queue, while a vCPU may write it.
pub(super) struct Vectors {
    pub(super) table: MsixTable,
    config: AtomicU16,
    queues: Box<[AtomicU16]>,
}

impl Vectors {
    /// No event of `queues` queues has a vector yet.
    pub(super) fn new(table: MsixTable, queues: u16) -> Self {
        let queues = (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect();
        Self { table, config: AtomicU16::new(NO_VECTOR), queues }
    }

    /// The vector of `event`; none if there is no such event.
    pub(super) fn vector(&self, event: Event) -> u16 {
        self.slot(event).map_or(NO_VECTOR, |slot| slot.load(Ordering::Relaxed))
    }

    /// Gives `event` a vector; one that does not exist is none, as the driver
    /// will read back.
    pub(super) fn set_vector(&self, event: Event, vector: u16) {
        let vector = if vector < self.table.count() { vector } else { NO_VECTOR };
        if let Some(slot) = self.slot(event) {
            slot.store(vector, Ordering::Relaxed);
        }
    }

    /// As after a reset of the device. The table is PCI's and stays.
    pub(super) fn reset(&self) {
        self.config.store(NO_VECTOR, Ordering::Relaxed);
        for queue in &self.queues {
            queue.store(NO_VECTOR, Ordering::Relaxed);
        }
        self.table.clear_pending();
    }

    fn slot(&self, event: Event) -> Option<&AtomicU16> {
        match event {
            Event::Used(queue) => self.queues.get(usize::from(queue)),
            Event::Config => Some(&self.config),
        }
    }
}

impl Messages for Vectors {
    fn send(&self, event: Event) -> bool {
        self.table.signal(self.vector(event))
    }
}
