use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vmm_core::irq::IrqLine;

use crate::pci::Intx;

#[derive(Default)]
struct Line(AtomicBool);

impl IrqLine for Line {
    fn set_level(&self, high: bool) {
        self.0.store(high, Ordering::SeqCst);
    }
}

#[test]
fn a_disabled_pin_stays_low_and_the_function_still_says_so() {
    let line = Arc::new(Line::default());
    let high = || line.0.load(Ordering::SeqCst);
    let pin = Intx::new(line.clone());
    pin.set_level(true);
    assert!(high() && pin.is_asserted());
    pin.set_disabled(true);
    assert!(!high() && pin.is_asserted());
    pin.set_level(false);
    pin.set_level(true);
    assert!(!high());
    pin.set_disabled(false);
    assert!(high());
    pin.set_level(false);
    assert!(!high() && !pin.is_asserted());
}
