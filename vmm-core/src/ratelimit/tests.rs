use super::*;

#[test]
fn a_burst_passes_and_the_rest_is_counted_until_the_next_window() {
    let limit = RateLimit::new(2, Duration::from_secs(10));
    let start = Instant::now();
    let at = |seconds| limit.admit_at(start + Duration::from_secs(seconds));
    assert_eq!([at(0), at(1), at(2), at(9)], [Some(0), Some(0), None, None]);
    assert_eq!([at(10), at(11), at(12)], [Some(2), Some(0), None]);
    assert_eq!(at(30), Some(1));
}

#[test]
fn a_clock_that_steps_back_does_no_harm() {
    let limit = RateLimit::new(1, Duration::from_secs(10));
    let later = Instant::now() + Duration::from_secs(60);
    assert_eq!(limit.admit_at(later), Some(0));
    assert_eq!(limit.admit_at(later - Duration::from_secs(30)), None);
}
