use super::*;
use crate::loader::KernelKind;
use crate::loader::image::{Protocol, Segment};

const CODE: &[u8] = &[0x90; 0x210];

fn with(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = bzimage(CODE);
    put(&mut file, offset, bytes);
    file
}

#[test]
fn a_bzimage_loads_where_it_prefers_and_keeps_room_to_unpack() {
    let image = image(&bzimage(CODE)).unwrap();
    assert_eq!(image.kind(), KernelKind::BzImage);
    assert!(image.linux);
    assert_eq!(image.entry, BASE + 0x200);
    assert_eq!(image.cmdline_limit, 2047);
    let segment = Segment { offset: 1024, file_size: 0x210, address: BASE, memory_size: 0x3000 };
    assert_eq!(image.segments, [segment]);
}

#[test]
fn no_setup_sectors_means_four() {
    let mut file = with(0x1f1, &[0]);
    file.splice(1024..1024, [0; 3 * 512]);
    assert_eq!(image(&file).unwrap().segments[0].offset, 5 * 512);
}

#[test]
fn without_a_size_the_rest_of_the_file_is_the_kernel() {
    let file = with(0x1f4, &[0; 4]);
    assert_eq!(image(&file).unwrap().segments[0].file_size, 0x210);
}

#[test]
fn what_follows_the_kernel_is_not_loaded() {
    let mut file = bzimage(CODE);
    file.extend(b"a signature");
    assert_eq!(image(&file).unwrap().segments[0].file_size, 0x210);
}

#[test]
fn a_kernel_without_a_preferred_address_loads_at_1_mib() {
    assert_eq!(image(&with(0x258, &[0; 8])).unwrap().segments[0].address, 0x10_0000);
}

#[test]
fn fields_after_the_header_are_not_taken_for_its_own() {
    // The header ends behind `cmdline_size`; what follows is code.
    let mut file = with(0x201, &[0x3a]);
    put(&mut file, 0x23c, &[0xcc; 0x40]);
    let image = image(&file).unwrap();
    let Protocol::BzImage(header) = image.protocol else { panic!("{:?}", image.protocol) };
    assert_eq!({ header.cmdline_size }, 2047);
    assert_eq!(({ header.hardware_subarch }, { header.pref_address }), (0, 0));
}

#[test]
fn a_bzimage_cut_anywhere_is_truncated() {
    let file = bzimage(CODE);
    for size in [0x206, 0x26b, 0x3ff, 1024, file.len() - 1] {
        let why = image(&file[..size]).unwrap_err();
        assert!(matches!(why, Unusable::Truncated { format: "bzImage", .. }), "{size}: {why}");
    }
}

#[test]
fn linux_kernels_without_a_64_bit_entry_are_named() {
    for (file, text) in [
        (with(0x236, &[0]), "is a 32-bit Linux kernel; an x86-64 one is needed"),
        (with(0x211, &[0]), "is a zImage, an old Linux kernel that runs below 1 MiB"),
        (
            with(0x206, &[0x09, 0x02]),
            "is a Linux kernel of boot protocol 2.09; 2.12 (Linux 3.8) or later is needed",
        ),
    ] {
        assert_eq!(image(&file).unwrap_err().to_string(), text);
    }
}

#[test]
fn contradictions_are_refused() {
    let tiny = bzimage(&[0x90; 0x200]);
    assert_eq!(
        image(&tiny).unwrap_err().to_string(),
        "is a damaged bzImage: its code ends before the 64-bit entry"
    );
    let far = with(0x258, &[0xff; 8]);
    assert_eq!(
        image(&far).unwrap_err().to_string(),
        "is a damaged bzImage: its preferred address is out of bounds"
    );
}
