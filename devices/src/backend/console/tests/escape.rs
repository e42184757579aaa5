use proptest::prelude::*;

use super::super::escape::Escape;

fn typed(keys: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let quit = Escape::default().filter(keys, &mut out);
    (out, quit)
}

#[test]
fn ctrl_a_x_ends_the_vm() {
    assert_eq!(typed(b"ls\x01x"), (b"ls".to_vec(), true));
    assert_eq!(typed(b"\x01Xrest"), (b"".to_vec(), true));
    assert_eq!(typed(b"x\x01yx"), (b"x\x01yx".to_vec(), false));
}

#[test]
fn ctrl_a_twice_is_one_for_the_guest() {
    assert_eq!(typed(b"\x01\x01"), (b"\x01".to_vec(), false));
    assert_eq!(typed(b"\x01\x01x"), (b"\x01x".to_vec(), false));
    assert_eq!(typed(b"\x01\x01\x01x"), (b"\x01".to_vec(), true));
}

#[test]
fn ctrl_a_before_another_key_reaches_the_guest() {
    assert_eq!(typed(b"\x01e"), (b"\x01e".to_vec(), false));
    assert_eq!(typed(b"\x01"), (b"".to_vec(), false));
}

/// Keys in which Ctrl-A and X are frequent.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![Just(1u8), Just(b'x'), Just(b'X'), any::<u8>()];
    proptest::collection::vec(key, 0..40)
}

proptest! {
    #[test]
    fn how_the_keys_arrive_makes_no_difference(keys in keys(), cuts in proptest::collection::vec(0usize..40, 0..6)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(keys.len())).collect();
        cuts.extend([0, keys.len()]);
        cuts.sort_unstable();
        let (mut escape, mut out, mut quit) = (Escape::default(), Vec::new(), false);
        for pair in cuts.windows(2) {
            quit = quit || escape.filter(&keys[pair[0]..pair[1]], &mut out);
        }
        prop_assert_eq!((out, quit), typed(&keys));
    }

    #[test]
    fn everything_can_be_typed(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let doubled: Vec<u8> =
            text.iter().flat_map(|b| vec![*b; if *b == 1 { 2 } else { 1 }]).collect();
        prop_assert_eq!(typed(&doubled), (text, false));
    }

    #[test]
    fn the_vm_ends_exactly_at_an_x_after_an_odd_run_of_ctrl_a(keys in keys()) {
        let mut run = 0;
        let end = keys.iter().any(|key| {
            let odd = run % 2 == 1;
            run = if *key == 1 { run + 1 } else { 0 };
            odd && matches!(key, b'x' | b'X')
        });
        prop_assert_eq!(typed(&keys).1, end);
    }
}
