use std::sync::{Arc, Mutex, PoisonError};

use super::IrqLine;

/// A level-triggered line that several devices pull: high while any of them
/// holds it high.
pub struct SharedLine {
    line: Box<dyn IrqLine>,
    /// How many hold it high.
    holders: Mutex<usize>,
}

impl SharedLine {
    /// `line`, which nobody holds high yet.
    pub fn new(line: impl IrqLine + 'static) -> Arc<Self> {
        Arc::new(Self { line: Box::new(line), holders: Mutex::new(0) })
    }

    /// One more device's end of the line.
    pub fn tap(self: &Arc<Self>) -> impl IrqLine + 'static {
        Tap { shared: Arc::clone(self), high: Mutex::new(false) }
    }

    /// The lock is held while the line is driven, so that it follows the
    /// holders in their order.
    fn hold(&self, high: bool) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if high {
            *holders += 1;
        } else {
            *holders -= 1;
        }
        self.line.set_level(*holders != 0);
    }
}

struct Tap {
    shared: Arc<SharedLine>,
    high: Mutex<bool>,
}

impl IrqLine for Tap {
    fn set_level(&self, high: bool) {
        let mut was_high = self.high.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *was_high, high) != high {
            self.shared.hold(high);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.set_level(false);
    }
}
