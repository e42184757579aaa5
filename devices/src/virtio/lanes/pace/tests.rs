use super::{LONGEST, Pace};

/// A pace after a short sleep.
fn brisk() -> Pace {
    let mut pace = Pace::default();
    pace.slept(LONGEST / 2);
    pace
}

/// Whether `pace` looks for more, in vain.
fn looks(pace: &mut Pace) -> bool {
    let mut looked = false;
    let found = pace.linger(|| {
        looked = true;
        false
    });
    assert!(!found);
    looked
}

#[test]
fn after_a_long_sleep_nobody_looks() {
    let mut pace = brisk();
    pace.slept(LONGEST);
    assert!(!looks(&mut pace));
    assert!(!looks(&mut Pace::default()));
}

#[test]
fn what_is_found_keeps_it_looking() {
    let mut pace = brisk();
    for _ in 0..5 {
        let mut count = 0;
        assert!(pace.linger(|| {
            count += 1;
            count == 3
        }));
    }
}

#[test]
fn looking_in_vain_becomes_rare_until_something_is_found() {
    let mut pace = brisk();
    let vain = (0..5000).filter(|_| looks(&mut pace)).count();
    // Every 2nd, then 4th, ... then 1024th time, and so on.
    assert_eq!(vain, 13);
    let slept = (0..).take_while(|_| !pace.linger(|| true)).count();
    assert!(slept <= 1024);
    assert!(pace.linger(|| true));
    assert!(looks(&mut pace));
    assert_eq!((0..).take_while(|_| !looks(&mut pace)).count(), 1);
}
