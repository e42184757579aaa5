use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress, GuestMemory};
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use super::*;
use crate::mem::{RamRegion, allocate};

const LEN: usize = 1 << 20;

fn ram() -> Arc<GuestRam> {
    let regions = [(0, 1 << 20), (4 << 20, 1 << 20)].map(|(base, size)| RamRegion { base, size });
    Arc::new(allocate(&regions).unwrap())
}

/// A ring; `None`, having said why, where the host allows none.
fn ring(ram: &Arc<GuestRam>, slots: u16) -> Option<Uring> {
    match Uring::new(Arc::clone(ram), slots) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
            eprintln!("skipped: {error}");
            None
        }
        ring => Some(ring.unwrap()),
    }
}

fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn pieces<'m>(ram: &'m GuestRam, list: &[(u64, usize)]) -> Vec<VolatileSlice<'m>> {
    list.iter().map(|(addr, len)| ram.get_slice(GuestAddress(*addr), *len).unwrap()).collect()
}

fn ends(ring: &mut Uring, count: usize) -> Vec<Completion> {
    let mut ended = Vec::new();
    while ended.len() < count {
        ring.wait(None).unwrap();
        ring.take(&mut ended);
    }
    ended.sort_by_key(|end| end.slot);
    ended
}

fn moved(ring: &mut Uring) -> usize {
    *ends(ring, 1)[0].result.as_ref().unwrap()
}

#[test]
fn guest_memory_in_two_regions_comes_from_a_file_in_order() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 4) else { return };
    let id = ring.register(file(b"0123456789")).unwrap();
    ring.load(2, &pieces(&ram, &[(4 << 20, 3), (0x1000, 4)])).unwrap();
    ring.read(2, id, 1, usize::MAX).unwrap();
    assert_eq!(ring.in_flight(), 1);
    assert_eq!((moved(&mut ring), ring.left(2), ring.in_flight()), (7, 0, 0));
    let mut found = [0; 4];
    ram.read_slice(&mut found, GuestAddress(0x1000)).unwrap();
    assert_eq!(&found, b"4567");
}

#[test]
fn a_transfer_goes_on_where_the_last_part_of_it_ended() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1) else { return };
    let source = file(b"0123456789");
    let id = ring.register(&source).unwrap();
    ring.load(0, &pieces(&ram, &[(0x100, 2), (0x200, 2), (0x300, 4)])).unwrap();
    for (most, offset, left) in [(1, 0, 7), (4, 1, 3), (usize::MAX, 9, 2)] {
        ring.read(0, id, offset, most).unwrap();
        moved(&mut ring);
        assert_eq!(ring.left(0), left);
    }
    ring.advance(0, 1);
    ring.pieces(0, 9)[0].copy_from(b"!");
    ring.load(0, &pieces(&ram, &[(0x100, 2), (0x200, 2), (0x300, 4)])).unwrap();
    ring.write(0, id, 20, 5).unwrap();
    moved(&mut ring);
    ring.sync_data(0, id).unwrap();
    assert_eq!(moved(&mut ring), 0);
    ring.write(0, id, 25, usize::MAX).unwrap();
    moved(&mut ring);
    let mut found = [0; 8];
    source.read_exact_at(&mut found, 20).unwrap();
    assert_eq!(&found, b"012349\0!");
}

#[test]
fn the_end_of_a_file_and_a_closed_direction_are_told() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 2) else { return };
    let id = ring.register(file(b"")).unwrap();
    let read_only = ring.register(File::open("/proc/self/exe").unwrap()).unwrap();
    for slot in 0..2 {
        ring.load(slot, &pieces(&ram, &[(0, 512)])).unwrap();
    }
    ring.read(0, id, 0, 512).unwrap();
    ring.write(1, read_only, 0, 512).unwrap();
    let ends = ends(&mut ring, 2);
    assert_eq!(*ends[0].result.as_ref().unwrap(), 0);
    assert_eq!(ends[1].result.as_ref().unwrap_err().raw_os_error(), Some(libc::EBADF));
    assert_eq!(ring.left(1), 512);
}

#[test]
fn memory_that_is_not_the_guests_is_refused() {
    let (ram, other) = (ram(), ram());
    let Some(mut ring) = ring(&ram, 1) else { return };
    let mut own = [0; 16];
    let refused = ring.load(0, &[VolatileSlice::from(&mut own[..])]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(ring.load(0, &pieces(&other, &[(0, 16)])).is_err());
    assert_eq!(ring.left(0), 0);
    ring.load(0, &pieces(&ram, &[(LEN as u64 - 1, 1), (4 << 20, LEN)])).unwrap();
    assert_eq!(ring.left(0), LEN + 1);
}

#[test]
fn alignment_is_that_of_addresses_and_lengths() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1) else { return };
    for (list, align) in [
        (&[(0x1000, 4096), (0x4000, 8192)][..], 4096),
        (&[(0x1000, 4096), (0x4000, 512)], 512),
        (&[(0x1200, 4096)], 512),
        (&[(0x1201, 512)], 1),
    ] {
        ring.load(0, &pieces(&ram, list)).unwrap();
        assert!(ring.is_aligned(0, align) && !ring.is_aligned(0, align * 2), "{list:?}");
    }
}

#[test]
#[should_panic(expected = "a slot in flight is the kernel's")]
fn a_slot_in_flight_is_not_loaded() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1) else { panic!("a slot in flight is the kernel's") };
    let id = ring.register(file(b"0")).unwrap();
    ring.load(0, &pieces(&ram, &[(0, 1)])).unwrap();
    ring.read(0, id, 0, 1).unwrap();
    let _ = ring.load(0, &pieces(&ram, &[(0, 1)]));
}

#[test]
fn more_operations_than_the_kernel_takes_at_once_all_end() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1024) else { return };
    let bytes: Vec<u8> = (0..=255).cycle().take(LEN).collect();
    let id = ring.register(file(&bytes)).unwrap();
    for round in 0..4 {
        for slot in 0..1024 {
            ring.load(slot, &pieces(&ram, &[(u64::from(slot) * 512, 512)])).unwrap();
            ring.read(slot, id, u64::from(1023 - slot) * 512 + round, 512).unwrap();
        }
        let ends = ends(&mut ring, 1024);
        assert!(ends.iter().all(|end| matches!(end.result, Ok(512))));
    }
    let mut found = [0; 2];
    ram.read_slice(&mut found, GuestAddress(511)).unwrap();
    assert_eq!(found, [bytes[1023 * 512 + 3 + 511], bytes[1022 * 512 + 3]]);
}

#[test]
fn a_ring_dropped_with_operations_in_flight_waits_for_them() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 64) else { return };
    let target = file(b"");
    let id = ring.register(&target).unwrap();
    ram.write_slice(&[7; 1024], GuestAddress(0)).unwrap();
    for slot in 0..64 {
        ring.load(slot, &pieces(&ram, &[(0, 512), (512, 512)])).unwrap();
        ring.write(slot, id, u64::from(slot) * 1024, usize::MAX).unwrap();
    }
    drop(ring);
    drop(ram);
    let mut found = vec![0; 64 * 1024];
    target.read_exact_at(&mut found, 0).unwrap();
    assert!(found.iter().all(|byte| *byte == 7));
}

#[test]
fn a_ring_dropped_elsewhere_lets_the_kernel_keep_the_memory() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1) else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    let id = ring.register(&reader).unwrap();
    ring.load(0, &pieces(&ram, &[(0, 16)])).unwrap();
    ring.read(0, id, 0, 16).unwrap();
    ring.submit().unwrap();
    drop(writer);
    std::thread::spawn(move || drop(ring)).join().unwrap();
}

#[test]
fn a_wait_ends_for_the_doorbell_each_time_it_rings() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1) else { return };
    let wake = EventFd::new(EFD_NONBLOCK).unwrap();
    ring.watch(&wake).unwrap();
    for _ in 0..100 {
        wake.write(1).unwrap();
        ring.wait(None).unwrap();
        assert!(ring.take(&mut Vec::new()));
    }
    let until = Instant::now() + Duration::from_millis(1);
    ring.wait(Some(until)).unwrap();
    assert!(Instant::now() >= until);
}

#[test]
fn a_doorbell_that_nobody_looks_at_for_long_is_not_lost() {
    let ram = ram();
    let Some(mut ring) = ring(&ram, 1) else { return };
    let wake = EventFd::new(EFD_NONBLOCK).unwrap();
    ring.watch(&wake).unwrap();
    let mut ended = Vec::new();
    for _ in 0..3 {
        // More than the completion queue holds.
        for _ in 0..1000 {
            wake.write(1).unwrap();
            ring.submit().unwrap();
        }
        ring.wait(None).unwrap();
        assert!(ring.take(&mut ended));
        // What was left over, if anything.
        while !ring.ring.completion().is_empty() {
            ring.take(&mut ended);
            ring.submit().unwrap();
        }
    }
    wake.write(1).unwrap();
    ring.wait(None).unwrap();
    assert!(ring.take(&mut ended) && ended.is_empty());
}

#[test]
fn files_are_known_up_to_a_number() {
    let Some(mut ring) = ring(&ram(), 1) else { return };
    let file = file(b"");
    for _ in 0..FILES {
        ring.register(&file).unwrap();
    }
    assert_eq!(ring.register(&file).unwrap_err().kind(), ErrorKind::QuotaExceeded);
}
