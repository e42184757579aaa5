use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use vmm_core::irq::IrqLine;

/// An interrupt line that remembers.
#[derive(Debug, Default)]
pub struct TestLine {
    high: AtomicBool,
    rises: AtomicUsize,
}

impl TestLine {
    /// Whether the line is high now.
    pub fn is_high(&self) -> bool {
        self.high.load(Ordering::SeqCst)
    }

    /// How often it went from low to high.
    pub fn rises(&self) -> usize {
        self.rises.load(Ordering::SeqCst)
    }
}

impl IrqLine for TestLine {
    fn set_level(&self, high: bool) {
        if !self.high.swap(high, Ordering::SeqCst) && high {
            self.rises.fetch_add(1, Ordering::SeqCst);
        }
    }
}
