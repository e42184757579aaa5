use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_sys_util::eventfd::EventFd;

use crate::pci::MsixTable;
use crate::virtio::{Event, Messages};

#[cfg(test)]
mod tests;

/// "No vector": the event sends no message (VIRTIO 1.2 §4.1.5.1.2).
pub(super) const NO_VECTOR: u16 = 0xffff;

/// Which entry of the MSI-X table each event signals. Read by whoever serves
/// a queue, while a vCPU may write it.
pub(super) struct Vectors {
    pub(super) table: MsixTable,
    config: AtomicU16,
    queues: Box<[AtomicU16]>,
    /// What each queue's vector follows.
    events: Mutex<Box<[Option<Arc<EventFd>>]>>,
}

impl Vectors {
    /// No event of `queues` queues has a vector yet.
    pub(super) fn new(table: MsixTable, queues: u16) -> Self {
        let events = Mutex::new((0..queues).map(|_| None).collect());
        let queues = (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect();
        Self { table, config: AtomicU16::new(NO_VECTOR), queues, events }
    }

    /// The vector of `event`; none if there is no such event.
    pub(super) fn vector(&self, event: Event) -> u16 {
        self.slot(event).map_or(NO_VECTOR, |slot| slot.load(Ordering::Relaxed))
    }

    /// Gives `event` a vector; one that does not exist is none, as the driver
    /// will read back.
    pub(super) fn set_vector(&self, event: Event, vector: u16) {
        let vector = if vector < self.table.count() { vector } else { NO_VECTOR };
        let Some(slot) = self.slot(event) else { return };
        let events = self.events();
        let old = slot.swap(vector, Ordering::Relaxed);
        if let Event::Used(queue) = event
            && let Some(event) = &events[usize::from(queue)]
            && old != vector
        {
            self.table.unfollow(old, event);
            self.table.follow(vector, Arc::clone(event));
        }
    }

    /// As after a reset of the device. The table is PCI's and stays.
    pub(super) fn reset(&self) {
        self.set_vector(Event::Config, NO_VECTOR);
        for (queue, _) in (0..).zip(&self.queues) {
            self.set_vector(Event::Used(queue), NO_VECTOR);
        }
        self.table.clear_pending();
    }

    fn events(&self) -> MutexGuard<'_, Box<[Option<Arc<EventFd>>]>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn follow(&self, queue: u16, event: Option<Arc<EventFd>>) {
        let mut events = self.events();
        let Some(place) = events.get_mut(usize::from(queue)) else { return };
        let vector = self.vector(Event::Used(queue));
        if let Some(old) = place.take() {
            self.table.unfollow(vector, &old);
        }
        if let Some(new) = event {
            self.table.follow(vector, Arc::clone(&new));
            *place = Some(new);
        }
    }
}
