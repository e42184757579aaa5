use std::sync::{Arc, Mutex};

use event_manager::{EventManager, SubscriberOps};
use proptest::prelude::*;
use virtio_queue::{Queue, QueueT};
use vm_memory::GuestAddress;

use super::give::for_each_run;
use super::*;
use crate::virtio::spec::balloon::*;
use crate::virtio::spec::{ID_BALLOON, feature, isr};
use crate::virtio::testing::*;
use crate::virtio::{DeviceIo, Interrupt, Subscriber, VirtioDevice};

mod drivers;
mod pages;

const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const STATS: usize = 2;
const REPORT: usize = 3;

/// Where lists lie, and pages that hold something.
const LISTS: u64 = 0x10_0000;
const PAGES: u64 = 0x20_0000;
const PAGE: usize = 4096;

const ALL: BalloonOptions =
    BalloonOptions { size: 0, deflate_on_oom: true, free_page_reporting: true };

struct Bench {
    guest: Guest<MmioRegisters>,
    handle: BalloonHandle,
}

impl Bench {
    fn new(features: u64) -> Self {
        let device = Balloon::new(ALL).unwrap();
        let handle = device.handle();
        let mut guest = Guest::mmio(device);
        guest.start(feature::VERSION_1 | features);
        Self { guest, handle }
    }

    /// Fills so many pages from [`PAGES`] on with something.
    fn fill(&self, count: usize) {
        self.guest.write(PAGES, &vec![0xee; count * PAGE]);
    }

    /// Which of so many pages from [`PAGES`] on still hold it; the others are
    /// zeros.
    fn kept(&self, count: usize) -> Vec<bool> {
        let bytes = self.guest.read(PAGES, count * PAGE);
        let is_kept = |page: &[u8]| {
            assert!(page.iter().all(|byte| *byte == page[0]), "a page is there in part");
            page[0] == 0xee
        };
        bytes.chunks(PAGE).map(is_kept).collect()
    }

    /// Puts a list of page numbers into memory, and a chain for it on a queue.
    fn list(&mut self, queue: usize, pages: &[u32]) {
        let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
        self.guest.write(LISTS, &bytes);
        let segment = read_only(LISTS, u32::try_from(bytes.len()).unwrap());
        self.run(queue, &[segment]);
    }

    fn run(&mut self, queue: usize, segments: &[Segment]) {
        let head = self.guest.queues[queue].add(&self.guest.mem, segments);
        self.guest.kick(queue.try_into().unwrap());
        assert_eq!(self.guest.used(queue), Some((head.into(), 0)));
    }

    fn config(&mut self) -> [u32; 4] {
        let mut bytes = [0; 16];
        self.guest.regs.read_config(0, &mut bytes);
        let word = |at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        [word(0), word(4), word(8), word(12)]
    }

    fn set_config(&mut self, offset: u64, value: u32) {
        self.guest.regs.write_config(offset, &value.to_le_bytes());
    }
}

/// The number of the page so many after [`PAGES`].
fn page(index: usize) -> u32 {
    u32::try_from(PAGES).unwrap() / 4096 + u32::try_from(index).unwrap()
}
