use proptest::prelude::*;

use super::super::testing::play_ports;

proptest! {
    #[test]
    fn no_access_breaks_a_device(script in proptest::collection::vec(any::<u8>(), 0..600)) {
        play_ports(&script);
    }
}
