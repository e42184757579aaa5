use devices::virtio::balloon::{Balloon, BalloonOptions};
use devices::virtio::testing::{Guest, Registers, Segment, read_only};

use super::{GOOD, Subject, run};

/// A balloon with all its queues.
pub(crate) struct BalloonSubject;

/// A page that is given back, and its number.
const PAGE: u64 = GOOD + 0x2000;
const NUMBER: u32 = 0x302;

impl Subject for BalloonSubject {
    type Device = Balloon;

    const QUEUES: u32 = 4;
    const SERVED: u32 = 0;

    fn new() -> (Self, Balloon) {
        let options = BalloonOptions { free_page_reporting: true, ..BalloonOptions::default() };
        (Self, Balloon::new(options).expect("the host has descriptors"))
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        guest.write(PAGE, &[0x5a; 4096]);
        guest.write(GOOD, &NUMBER.to_le_bytes());
        vec![read_only(GOOD, 4)]
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        guest.write(GOOD, &NUMBER.to_le_bytes());
        for _ in 0..2 {
            guest.write(PAGE, &[0x5a; 4096 + 16]);
            assert_eq!(run(guest, 0, &[read_only(GOOD, 4)]), 0);
            assert_eq!(guest.read(PAGE, 4096), [0; 4096]);
            assert_eq!(guest.read(PAGE + 4096, 16), [0x5a; 16]);
            assert_eq!(run(guest, 1, &[read_only(GOOD, 4)]), 0);
        }
    }
}
