use std::sync::atomic::{AtomicBool, Ordering};

use vmm_sys_util::eventfd::EventFd;

use crate::irq::IrqLine;

/// An interrupt line into the in-kernel I/O APIC, edge-triggered: a rising
/// edge becomes one interrupt, through an irqfd.
pub struct IrqfdLine {
    event: EventFd,
    high: AtomicBool,
}

impl IrqfdLine {
    /// A line, low, over `event`, which [`super::Vm::attach_irq`] has attached.
    pub fn new(event: EventFd) -> Self {
        Self { event, high: AtomicBool::new(false) }
    }
}

impl IrqLine for IrqfdLine {
    fn set_level(&self, high: bool) {
        if !self.high.swap(high, Ordering::AcqRel) && high {
            // An eventfd's counter is full after 2⁶⁴ - 2 edges that KVM did
            // not take; there is nothing better to do then than to go on.
            let _ = self.event.write(1);
        }
    }
}
