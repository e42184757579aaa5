use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use vmm_core::event::StopFlag;
use vmm_sys_util::eventfd::EventFd;

/// Where what serves a queue, a lane, changes hands between the device and a
/// thread.
pub(in crate::virtio) struct Post<T> {
    place: Mutex<Place<T>>,
    changed: Condvar,
    /// The device wants the lane back.
    recalled: AtomicBool,
    index: usize,
    doorbells: Arc<[EventFd]>,
}

enum Place<T> {
    /// The device has the lane, if there is one.
    Empty,
    /// It is for the thread.
    There(Box<T>),
    /// The thread has it.
    Taken,
    /// It is drained, for the device.
    Back(Box<T>),
    /// The thread has ended.
    Closed,
}

impl<T> Post<T> {
    /// For the queue `index` of those that `doorbells` are of.
    pub(in crate::virtio) fn new(index: usize, doorbells: Arc<[EventFd]>) -> Self {
        Self {
            place: Mutex::new(Place::Empty),
            changed: Condvar::new(),
            recalled: AtomicBool::new(false),
            index,
            doorbells,
        }
    }

    /// The queue's doorbell.
    pub(in crate::virtio) fn doorbell(&self) -> &EventFd {
        &self.doorbells[self.index]
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, place: Place<T>) {
        *self.lock() = place;
        self.changed.notify_all();
    }

    /// Has the thread look up from whatever it waits for.
    pub(in crate::virtio) fn wake(&self) {
        // Under the lock, so that a thread about to wait cannot miss it.
        drop(self.lock());
        self.changed.notify_all();
        self.ring();
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbell().write(1);
    }

    /// The thread is to serve `lane`.
    pub(in crate::virtio) fn put(&self, lane: T) {
        let mut place = self.lock();
        if !matches!(*place, Place::Closed) {
            self.recalled.store(false, Ordering::Release);
            *place = Place::There(Box::new(lane));
            self.changed.notify_all();
        }
    }

    /// Has the lane drained soon; does not wait.
    pub(in crate::virtio) fn recall(&self) {
        self.recall_from(&self.lock());
    }

    /// Whether the thread is to give the lane back.
    pub(in crate::virtio) fn is_recalled(&self) -> bool {
        self.recalled.load(Ordering::Acquire)
    }

    /// The thread gives the lane back, drained.
    pub(in crate::virtio) fn give_back(&self, lane: Box<T>) {
        self.set(Place::Back(lane));
    }

    fn recall_from(&self, place: &Place<T>) {
        if matches!(place, Place::Taken) {
            self.recalled.store(true, Ordering::Release);
            self.ring();
        }
    }

    /// Waits until the lane is drained and takes it back. `None` if nobody has it.
    pub(in crate::virtio) fn collect(&self) -> Option<T> {
        let place = self.lock();
        // The thread may have taken the lane since it was recalled.
        self.recall_from(&place);
        let mut place = self
            .changed
            .wait_while(place, |place| matches!(place, Place::Taken))
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::Empty) {
            Place::There(lane) | Place::Back(lane) => Some(*lane),
            Place::Closed => {
                *place = Place::Closed;
                None
            }
            Place::Empty | Place::Taken => None,
        }
    }

    /// Waits for a lane; `None` if the stop comes first.
    pub(in crate::virtio) fn take(&self, stop: &StopFlag) -> Option<Box<T>> {
        let mut place = self
            .changed
            .wait_while(self.lock(), |place| !matches!(place, Place::There(_)) && !stop.is_set())
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::Taken) {
            Place::There(lane) => Some(lane),
            other => {
                *place = other;
                None
            }
        }
    }
}

/// Closes the post when the thread ends, by a panic too: nobody then waits for
/// a lane that does not come.
pub(in crate::virtio) struct Closing<'p, T>(pub(in crate::virtio) &'p Post<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.set(Place::Closed);
    }
}
