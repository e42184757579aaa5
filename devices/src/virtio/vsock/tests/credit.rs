use proptest::prelude::*;

use crate::virtio::vsock::credit::{FromGuest, ToGuest};

#[test]
fn a_guest_is_sent_no_more_than_it_has_room_for() {
    let mut credit = ToGuest::default();
    assert_eq!(credit.free(), 0);
    credit.update(100, 0);
    credit.send(60);
    assert_eq!(credit.free(), 40);
    credit.update(100, 50);
    assert_eq!(credit.free(), 90);
    // A buffer that shrinks below what is on its way.
    credit.update(5, 50);
    assert_eq!(credit.free(), 0);
}

#[test]
fn a_guest_that_took_more_than_it_was_sent_gets_nothing() {
    let mut credit = ToGuest::default();
    credit.update(100, 1);
    assert_eq!(credit.free(), 0);
}

#[test]
fn counters_wrap() {
    let mut credit = ToGuest::default();
    for round in 1..=10_u32 {
        credit.update(1 << 30, (1_u32 << 30).wrapping_mul(round - 1));
        assert_eq!(credit.free(), 1 << 30);
        credit.send(1 << 30);
        assert_eq!(credit.free(), 0);
    }
}

proptest! {
    /// Whatever happens, what is kept fits, and a guest that waits for credit
    /// hears of it.
    #[test]
    fn credit_is_never_exceeded_and_never_forgotten(
        buf_alloc in 1..1000_u32,
        own in 1..1000_u32,
        steps in prop::collection::vec((any::<bool>(), 0..600_u32), 0..200),
    ) {
        let mut credit = FromGuest::new(buf_alloc);
        let (mut kept, mut received, mut told) = (0, 0_u32, 0);
        for (is_receive, len) in steps {
            if is_receive {
                let fits = kept + len <= buf_alloc;
                prop_assert_eq!(credit.receive(len), fits);
                if fits {
                    kept += len;
                    received += len;
                }
            } else {
                let len = len.min(kept);
                credit.forward(len);
                kept -= len;
            }
            // What the guest may send, as it knows.
            let window = buf_alloc.min(own);
            if kept == 0 && received - told >= window {
                prop_assert!(credit.is_news(own));
            }
            if credit.is_news(own) {
                let (room, forwarded) = credit.tell();
                prop_assert_eq!((room, forwarded), (buf_alloc, received - kept));
                told = forwarded;
                prop_assert!(!credit.is_news(own));
            }
        }
    }
}
