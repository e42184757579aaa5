#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Keeps what changes where an image's data lies apart from transfers that
/// were told where it lies.
///
/// Transfers enter, in any number; a change holds the gate alone. Whoever
/// waits here must not be inside, or it would wait for itself: a channel lets
/// its own transfers end first, which is what [`Gate::is_wanted`] is for.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    wanted: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    /// Changes that wait or run; while there are any, nobody enters.
    changes: usize,
    changing: bool,
}

impl Gate {
    /// Whether somebody waits to hold the gate alone or does: transfers should
    /// end and leave. Costs one load.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Waits until no change runs or waits, and enters.
    pub fn enter(self: &Arc<Self>) -> Inside {
        let mut state = self.lock();
        while state.changes > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Inside(Arc::clone(self))
    }

    /// Does `change` while nobody is inside.
    pub fn alone<T>(&self, change: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        state.changes += 1;
        self.wanted.store(true, Ordering::Relaxed);
        while state.inside > 0 || state.changing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.changing = true;
        drop(state);
        let held = Alone(self);
        let result = change();
        drop(held);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Having entered a [`Gate`]; dropped, it leaves.
#[derive(Debug)]
pub struct Inside(Arc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.lock().inside -= 1;
        self.0.changed.notify_all();
    }
}

/// Opens the gate again, even if the change panicked.
struct Alone<'g>(&'g Gate);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.changing = false;
        state.changes -= 1;
        self.0.wanted.store(state.changes > 0, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}
