use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::State;

/// How large a terminal is, in characters; 0 if that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// A console device, for the machine that it belongs to.
#[derive(Clone)]
pub struct Handle {
    state: Arc<Mutex<State>>,
}

impl Handle {
    pub(super) fn new(state: Arc<Mutex<State>>) -> Self {
        Self { state }
    }

    /// Tells the guest that its terminal has another size now. Nothing
    /// happens if it has not, or if the device was made without a size.
    pub fn resize(&self, size: Size) {
        self.state().resize(size);
    }

    /// Ends the output: takes what the driver has made available so far, and
    /// then closes the output. To be called once no vCPU runs; the event loop
    /// must go on until the output is [`done`], for a slow reader may hold up
    /// what is still in the queue.
    ///
    /// [`done`]: crate::backend::console::Output::done
    pub fn close(&self) {
        self.state().close();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
