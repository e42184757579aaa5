use proptest::prelude::*;
use vm_memory::GuestAddress;
use vmm_core::mem::{allocate, plan};

use super::*;
use crate::loader::options_of_bytes;

/// A valid image of each format.
fn seeds() -> Vec<Vec<u8>> {
    let mut multiboot = vec![0x90; 0x200];
    put(&mut multiboot, 0x40, &multiboot_header(0, Some([0x10_0040, 0x10_0000, 0, 0, 0x10_0000])));
    vec![
        Elf::new().bytes(),
        Elf::new().with_note(pvh_note(BASE as u32)).bytes(),
        Elf { wide: false, ..Elf::new().with_note(pvh_note(BASE as u32)) }.bytes(),
        bzimage(&[0x90; 0x210]),
        multiboot,
    ]
}

/// What the rest of the loader counts on in any image that was accepted.
fn check(bytes: &[u8]) {
    let Ok(image) = image(bytes) else { return };
    assert!(!image.segments.is_empty());
    let size = bytes.len() as u64;
    for segment in &image.segments {
        assert!(segment.offset + segment.file_size <= size);
        assert!(segment.file_size <= segment.memory_size);
        assert!(segment.address.checked_add(segment.memory_size).is_some());
    }
    let entry = |s: &crate::loader::image::Segment| (s.address..s.end()).contains(&image.entry);
    assert!(image.segments.iter().any(entry));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        check(&bytes);
    }

    #[test]
    fn whatever_is_packed_is_unpacked_or_refused(
        magic in 0..5_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        const MAGICS: [&[u8]; 5] =
            [b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b""];
        let mut file = bzimage(&[MAGICS[magic], &bytes].concat());
        let length = (MAGICS[magic].len() + bytes.len()) as u32;
        put(&mut file, 0x24c, &length.to_le_bytes());
        let _ = options_of_bytes(&file);
    }

    #[test]
    fn spoilt_headers_never_panic_or_point_outside(
        seed in 0..5_usize,
        spoils in proptest::collection::vec((0..0x300_usize, any::<u64>(), 0..=8_usize), 1..6),
        cut in proptest::option::of(0..0x3000_usize),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        for (offset, value, len) in spoils {
            let end = bytes.len().min(offset + len);
            if offset < end {
                bytes[offset..end].copy_from_slice(&value.to_le_bytes()[..end - offset]);
            }
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        check(&bytes);
    }

    #[test]
    fn whatever_is_accepted_loads_or_is_refused(
        seed in 0..5_usize,
        offset in 0..0x300_usize,
        value in any::<u64>(),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        put(&mut bytes, offset, &value.to_le_bytes());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        if let Ok(mut kernel) = Kernel::open(file.path()) {
            let ram = allocate(&plan(16 << 20)).unwrap();
            let _ = crate::load(&ram, &mut kernel, &[], "", GuestAddress(0));
        }
    }

    #[test]
    fn a_truncated_kernel_is_refused(seed in 0..5_usize, cut in 0.0..1.0_f64) {
        let mut bytes = seeds().swap_remove(seed);
        // A flat image says nowhere how long it is: drop its code instead.
        let end = if seed == 4 { 0x40 } else { bytes.len() };
        bytes.truncate((end as f64 * cut) as usize);
        prop_assert!(image(&bytes).is_err());
    }
}
