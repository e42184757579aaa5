use super::Work::{Flush, Transfer};
use super::*;

const SLOW: Duration = Duration::from_millis(1);

#[test]
fn what_is_quick_is_done_at_once() {
    let mut pace = Pace::default();
    for _ in 0..100 {
        pace.started();
        assert!(pace.is_at_once(Transfer));
        pace.took(Transfer, QUICK);
    }
}

#[test]
fn after_a_slow_one_some_are_handed_over_before_the_next_attempt() {
    let mut pace = Pace::default();
    pace.started();
    pace.took(Flush, SLOW);
    for _ in 0..HANDED {
        assert!(!pace.is_at_once(Flush));
        assert!(pace.is_at_once(Transfer));
    }
    assert!(pace.is_at_once(Flush));
}

#[test]
fn a_guest_that_waits_for_each_has_none_handed_over() {
    let mut pace = Pace::default();
    for n in 1..100 {
        pace.idles();
        pace.started();
        assert_eq!(pace.is_at_once(Flush), n == 1 || n >= SOLITARY, "operation {n}");
        pace.took(Flush, SLOW);
    }
    // Until it has two at a time.
    assert!(pace.is_solitary());
    pace.started();
    assert!(!pace.is_at_once(Flush));
    pace.idles();
    pace.started();
    assert!(!pace.is_solitary() && !pace.is_at_once(Flush));
}
