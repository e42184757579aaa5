use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vmm_core::irq::IrqLine;

/// An interrupt line that remembers.
#[derive(Debug, Default)]
pub struct TestLine {
    level: Mutex<Level>,
    rose: Condvar,
}

#[derive(Debug, Default)]
struct Level {
    high: bool,
    rises: usize,
}

impl TestLine {
    /// Whether the line is high now.
    pub fn is_high(&self) -> bool {
        self.lock().high
    }

    /// How often it went from low to high.
    pub fn rises(&self) -> usize {
        self.lock().rises
    }

    /// Waits until the line is high; false if that takes longer than
    /// `patience`.
    pub fn wait(&self, patience: Duration) -> bool {
        let wait = self.rose.wait_timeout_while(self.lock(), patience, |level| !level.high);
        wait.unwrap_or_else(PoisonError::into_inner).0.high
    }

    fn lock(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IrqLine for TestLine {
    fn set_level(&self, high: bool) {
        let mut level = self.lock();
        if !std::mem::replace(&mut level.high, high) && high {
            level.rises += 1;
            self.rose.notify_all();
        }
    }
}
