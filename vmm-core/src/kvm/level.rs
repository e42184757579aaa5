use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::vm::Handle;
use crate::irq::IrqLine;

/// An interrupt line into the in-kernel I/O APIC, level-triggered, as PCI's
/// are: the interrupt comes again until the line is low. It costs nothing
/// until it is first driven high, and then a system call each change.
pub struct LevelLine {
    vm: Arc<Handle>,
    gsi: u32,
    high: Mutex<bool>,
    has_warned: AtomicBool,
}

impl LevelLine {
    pub(super) fn new(vm: Arc<Handle>, gsi: u32) -> Self {
        Self { vm, gsi, high: Mutex::new(false), has_warned: AtomicBool::new(false) }
    }
}

impl IrqLine for LevelLine {
    fn set_level(&self, high: bool) {
        // Held until KVM knows, so that the last level is the one that stays.
        let mut was_high = self.high.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *was_high, high) == high {
            return;
        }
        if let Err(error) = self.vm.fd.set_irq_line(self.gsi, high)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            log::warn!("KVM refuses to drive interrupt line {}: {error}", self.gsi);
        }
    }
}
