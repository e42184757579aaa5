use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use proptest::prelude::*;
use vmm_core::sys::fill_random;

use super::Rng;
use super::state::{LEAST, MOST};
use crate::virtio::VirtioDevice;
use crate::virtio::rate::BURST;
use crate::virtio::spec::{ID_ENTROPY, feature, isr};
use crate::virtio::testing::*;

const BUFFERS: u64 = 0x10_0000;
const ALL: u64 = u64::MAX;
/// A rate that no test reaches.
const UNLIMITED: NonZeroU64 = NonZeroU64::MAX;

fn live(rate: NonZeroU64) -> Guest<MmioRegisters> {
    let mut guest = Guest::mmio(Rng::new(rate).unwrap());
    guest.start(ALL);
    guest
}

fn ask(guest: &mut Guest<MmioRegisters>, segments: &[Segment]) -> u32 {
    let head = guest.queues[0].add(&guest.mem, segments);
    guest.kick(0);
    let (id, len) = guest.used(0).expect("a request is answered");
    assert_eq!(id, u32::from(head));
    len
}

#[test]
fn it_is_an_entropy_device_with_one_queue_and_no_configuration() {
    let device = Rng::new(UNLIMITED).unwrap();
    assert_eq!((device.info().id, device.info().features), (ID_ENTROPY, 0));
    assert_eq!(device.info().queue_sizes.len(), 1);
    let mut data = [0xff; 8];
    device.read_config(0, &mut data);
    assert_eq!(data, [0; 8]);
}

#[test]
fn a_request_is_filled_with_bytes_that_differ() {
    let mut guest = live(UNLIMITED);
    guest.start(feature::VERSION_1);
    let mut seen = Vec::new();
    for _ in 0..3 {
        assert_eq!(ask(&mut guest, &[write_only(BUFFERS, 32)]), 32);
        assert_eq!(guest.regs.take_interrupts(), isr::QUEUE);
        let bytes = guest.read(BUFFERS, 33);
        assert_eq!(bytes[32], 0);
        assert!(!seen.contains(&bytes) && bytes != [0; 33]);
        seen.push(bytes);
    }
}

#[test]
fn a_large_request_gets_its_first_bytes() {
    let mut guest = live(UNLIMITED);
    let most = u32::try_from(MOST).unwrap();
    assert_eq!(
        ask(&mut guest, &[write_only(BUFFERS, 3 << 16), write_only(4 << 30, 1 << 30)]),
        most
    );
    let bytes = guest.read(BUFFERS, MOST + 1);
    assert!(bytes[..MOST].chunks(32).all(|chunk| chunk != [0; 32]));
    assert_eq!(bytes[MOST], 0);
    assert_eq!(guest.read(4 << 30, 1), [0]);
}

#[test]
fn what_the_device_may_only_read_stays_as_it_is() {
    let mut guest = live(UNLIMITED);
    assert_eq!(ask(&mut guest, &[read_only(BUFFERS, 64)]), 0);
    assert_eq!(ask(&mut guest, &[read_only(BUFFERS, 64), write_only(BUFFERS + 64, 32)]), 32);
    assert_eq!(guest.read(BUFFERS, 64), [0; 64]);
    assert_ne!(guest.read(BUFFERS + 64, 32), [0; 32]);
}

#[test]
fn requests_beyond_the_rate_are_answered_in_time() {
    let rate = 1 << 16;
    let start = Instant::now();
    let mut guest = live(NonZeroU64::new(rate).unwrap());
    // Twice what comes at once; single bytes count as more.
    let count = 2 * (rate / 10) / LEAST as u64;
    let (mut asked, mut answered) = (0, 0);
    while answered < count {
        assert!(start.elapsed() < PATIENCE, "{answered} of {count} requests were answered");
        if asked < count && asked - answered < u64::from(guest.queues[0].size) {
            guest.queues[0].add(&guest.mem, &[write_only(BUFFERS + asked, 1)]);
            guest.regs.notify(0);
            asked += 1;
        }
        guest.turn(1);
        while guest.used(0).is_some() {
            answered += 1;
        }
        // Never more than the rate allows until now, and one request.
        let allowed = (start.elapsed() + BURST).as_secs_f64() * rate as f64 / LEAST as f64 + 1.0;
        assert!(answered as f64 <= allowed, "{answered} requests of {allowed}");
    }
}

#[test]
fn a_device_that_waits_for_its_time_can_be_reset_and_started() {
    let mut guest = live(NonZeroU64::new(1).unwrap());
    assert_eq!(ask(&mut guest, &[write_only(BUFFERS, 32)]), 32);
    // The next is answered in a minute.
    guest.queues[0].add(&guest.mem, &[write_only(BUFFERS + 0x1000, 32)]);
    guest.kick(0);
    assert_eq!(guest.used(0), None);
    guest.start(ALL);
    guest.queues[0].add(&guest.mem, &[write_only(BUFFERS + 0x1000, 32)]);
    guest.kick(0);
    // A reset is no way round the rate.
    assert_eq!(guest.used(0), None);
    assert_eq!(guest.read(BUFFERS + 0x1000, 32), [0; 32]);
}

#[test]
fn a_host_without_entropy_is_asked_again() {
    static IS_READY: AtomicBool = AtomicBool::new(false);
    let mut device = Rng::new(UNLIMITED).unwrap();
    device.take_from(|memory| match IS_READY.load(Ordering::Relaxed) {
        true => fill_random(memory),
        false => Err(io::Error::other("it has just booted")),
    });
    let mut guest = Guest::mmio(device);
    guest.start(ALL);
    guest.queues[0].add(&guest.mem, &[write_only(BUFFERS, 32)]);
    guest.kick(0);
    assert_eq!(guest.used(0), None);
    assert!(!guest.is_reset_needed());
    IS_READY.store(true, Ordering::Relaxed);
    let answer = eventually(|| {
        guest.turn(1);
        guest.used(0)
    });
    assert_eq!(answer, (0, 32));
    assert_ne!(guest.read(BUFFERS, 32), [0; 32]);
}

proptest! {
    /// However a request is cut, its bytes are filled up to the limit, and
    /// nothing beside them.
    #[test]
    fn any_cut_will_do(
        lens in prop::collection::vec(0_u32..3000, 1..8),
        gap in 1_u64..100,
        indirect: bool,
    ) {
        let mut guest = live(UNLIMITED);
        let mut at = BUFFERS;
        let mut segments = Vec::new();
        for len in &lens {
            segments.push(write_only(at, *len));
            at += u64::from(*len) + gap;
        }
        let all = usize::try_from(lens.iter().sum::<u32>()).unwrap();
        if indirect {
            guest.queues[0].add_indirect(&guest.mem, 0x20_0000, &segments);
        } else {
            guest.queues[0].add(&guest.mem, &segments);
        }
        guest.kick(0);
        let (_, len) = guest.used(0).unwrap();
        prop_assert_eq!(usize::try_from(len).unwrap(), all.min(MOST));
        let mut left = all.min(MOST);
        for segment in segments {
            let len = usize::try_from(segment.len).unwrap();
            let bytes = guest.read(segment.addr, len + usize::try_from(gap).unwrap());
            let filled = len.min(left);
            prop_assert!(bytes[..filled].chunks_exact(16).all(|chunk| chunk != [0; 16]));
            prop_assert!(bytes[filled..].iter().all(|byte| *byte == 0));
            left -= filled;
        }
    }
}
