use std::num::NonZeroU64;

use devices::virtio::rng::Rng;
use devices::virtio::testing::{Guest, Registers, Segment, write_only};

use super::{GOOD, Subject, run};

/// An entropy device that gives more than any driver takes.
pub(crate) struct RngSubject;

impl Subject for RngSubject {
    type Device = Rng;

    const QUEUES: u32 = 1;
    const SERVED: u32 = 0;

    fn new() -> (Self, Rng) {
        (Self, Rng::new(NonZeroU64::MAX).expect("the host has descriptors"))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, _guest: &Guest<R>) -> Vec<Segment> {
        vec![write_only(GOOD, 64)]
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        for _ in 0..2 {
            let before = guest.read(GOOD, 80);
            assert_eq!(run(guest, 0, &[write_only(GOOD, 64)]), 64);
            let after = guest.read(GOOD, 80);
            assert_ne!(after[..64], before[..64]);
            assert_eq!(after[64..], before[64..]);
        }
    }
}
