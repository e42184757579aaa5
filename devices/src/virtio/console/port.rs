use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_sys_util::eventfd::EventFd;

use super::state::State;
use crate::backend::console::InputPort;

/// The device's receiving side.
pub(super) struct Port {
    state: Arc<Mutex<State>>,
    ready: Arc<EventFd>,
}

impl Port {
    pub(super) fn new(state: Arc<Mutex<State>>, ready: Arc<EventFd>) -> Self {
        Self { state, ready }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InputPort for Port {
    fn room(&self) -> usize {
        self.state().room()
    }

    fn receive(&self, bytes: &[u8]) -> usize {
        self.state().receive(bytes)
    }

    fn ready(&self) -> &EventFd {
        &self.ready
    }
}
