use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::irq::IrqLine;

/// A function's INTA# (PCI 3.0 §2.2.6): the level that the function wants,
/// held back while the command register or MSI-X says so.
pub struct Intx {
    line: Arc<dyn IrqLine>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    high: bool,
    disabled: bool,
}

impl Intx {
    /// A pin, deasserted, that drives `line`.
    pub fn new(line: Arc<dyn IrqLine>) -> Self {
        Self { line, state: Mutex::default() }
    }

    /// Whether the function wants an interrupt: bit 3 of the status register
    /// (PCI 3.0 §6.2.3), which the command register does not hold back.
    pub fn is_asserted(&self) -> bool {
        self.lock().high
    }

    /// Holds the pin deasserted, or lets it follow the function again: while
    /// [`super::spec::command::INTX_DISABLE`] is set or MSI-X is enabled.
    pub fn set_disabled(&self, disabled: bool) {
        let mut state = self.lock();
        state.disabled = disabled;
        self.drive(&state);
    }

    /// Under the lock: two threads must not drive the line in another order
    /// than they changed the state in.
    fn drive(&self, state: &State) {
        self.line.set_level(state.high && !state.disabled);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IrqLine for Intx {
    fn set_level(&self, high: bool) {
        let mut state = self.lock();
        state.high = high;
        self.drive(&state);
    }
}
