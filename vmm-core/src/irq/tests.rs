use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{IrqLine, SharedLine};

#[derive(Clone, Default)]
struct Line {
    high: Arc<AtomicBool>,
    drives: Arc<AtomicUsize>,
}

impl IrqLine for Line {
    fn set_level(&self, high: bool) {
        self.drives.fetch_add(1, Ordering::SeqCst);
        self.high.store(high, Ordering::SeqCst);
    }
}

#[test]
fn a_shared_line_is_high_while_anybody_holds_it() {
    let line = Line::default();
    let high = || line.high.load(Ordering::SeqCst);
    let shared = SharedLine::new(line.clone());
    let (first, second) = (shared.tap(), shared.tap());
    first.set_level(true);
    assert!(high());
    second.set_level(true);
    first.set_level(false);
    assert!(high(), "the second still holds it");
    second.set_level(false);
    assert!(!high());
}

#[test]
fn saying_the_same_again_drives_nothing() {
    let line = Line::default();
    let tap = SharedLine::new(line.clone()).tap();
    for _ in 0..3 {
        tap.set_level(true);
    }
    assert_eq!(line.drives.load(Ordering::SeqCst), 1);
}

#[test]
fn a_device_that_goes_lets_the_line_go() {
    let line = Line::default();
    let shared = SharedLine::new(line.clone());
    let tap = shared.tap();
    tap.set_level(true);
    drop(tap);
    assert!(!line.high.load(Ordering::SeqCst));
}
