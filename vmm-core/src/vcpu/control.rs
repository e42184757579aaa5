use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the machine wants of all its vCPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Stay out of the guest: how a machine begins, and pauses.
    Paused,
    /// Run the guest.
    Running,
    /// End the thread. Final.
    Stopped,
}

/// The one place that says whether vCPUs run. Changing it does not make a
/// vCPU leave the guest: kick it after.
pub struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    desired: Desired,
    /// vCPUs that are out of the guest and wait.
    waiting: usize,
}

impl Control {
    /// Paused.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State { desired: Desired::Paused, waiting: 0 }),
            changed: Condvar::new(),
        }
    }

    /// What is wanted now.
    pub fn desired(&self) -> Desired {
        self.lock().desired
    }

    /// Asks for `desired`. Nothing follows [`Desired::Stopped`].
    pub fn set(&self, desired: Desired) {
        let mut state = self.lock();
        if state.desired != Desired::Stopped {
            state.desired = desired;
            self.changed.notify_all();
        }
    }

    /// How many vCPUs wait outside of the guest.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Called by a vCPU outside of the guest: returns when it shall run or
    /// stop. While `held` says so it waits even if running is wanted.
    pub(super) fn wait(&self, held: impl Fn() -> bool) -> Desired {
        let mut state = self.lock();
        let must_wait = |s: &State| match s.desired {
            Desired::Paused => true,
            Desired::Running => held(),
            Desired::Stopped => false,
        };
        if must_wait(&state) {
            state.waiting += 1;
            self.changed.notify_all();
            while must_wait(&state) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting -= 1;
        }
        state.desired
    }

    /// Waits until `count` vCPUs wait outside of the guest.
    pub fn await_waiting(&self, count: usize) {
        let mut state = self.lock();
        while state.waiting < count && state.desired == Desired::Paused {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}
