use super::*;

#[test]
fn a_driver_that_waits_for_each_answer_is_hardly_ever_kept_waiting() {
    let mut burst = Burst::default();
    let mut kept = 0;
    for _ in 0..2000 {
        let mut looks = 0;
        let came = burst.linger(1, || {
            looks += 1;
            false
        });
        assert!(!came);
        kept += usize::from(looks > 0);
    }
    // After 1, 2, 4, ... skipped ones.
    assert!((1..=12).contains(&kept), "{kept}");
}

#[test]
fn answers_are_not_held_back_for_ever() {
    let mut burst = Burst::default();
    let mut count = 0;
    while burst.linger(1, || true) {
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_driver_that_adds_requests_again_is_waited_for_again() {
    let mut burst = Burst::default();
    for _ in 0..100 {
        burst.linger(1, || false);
    }
    assert!(!burst.linger(1, || true));
    // Two answers at once: it did not wait for the first.
    assert!(burst.linger(2, || true));
    assert!(!burst.linger(3, || false));
    assert!(burst.linger(1, || true));
}
