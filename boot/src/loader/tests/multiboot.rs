use super::*;
use crate::loader::KernelKind;
use crate::loader::image::Segment;

const LOAD: u32 = 0x10_0000;

/// A flat image: its header at 0x40, then code; loaded from the file's start.
fn flat(load_end: u32, bss_end: u32, entry: u32) -> Vec<u8> {
    let mut file = vec![0x90; 0x200];
    put(&mut file, 0x40, &multiboot_header(0, Some([LOAD + 0x40, LOAD, load_end, bss_end, entry])));
    file
}

#[test]
fn a_flat_image_loads_where_its_header_says() {
    let image = image(&flat(LOAD + 0x180, LOAD + 0x1000, LOAD + 0x60)).unwrap();
    assert_eq!(image.kind(), KernelKind::Multiboot);
    assert_eq!(image.entry, u64::from(LOAD) + 0x60);
    let segment =
        Segment { offset: 0, file_size: 0x180, address: u64::from(LOAD), memory_size: 0x1000 };
    assert_eq!(image.segments, [segment]);
}

#[test]
fn without_an_end_the_whole_file_is_loaded() {
    let image = image(&flat(0, 0, LOAD)).unwrap();
    assert_eq!((image.segments[0].file_size, image.segments[0].memory_size), (0x200, 0x200));
}

#[test]
fn an_image_may_start_behind_the_files_start() {
    let mut file = vec![0x90; 0x200];
    let header = multiboot_header(0, Some([LOAD + 0x10, LOAD, 0, 0, LOAD]));
    put(&mut file, 0x40, &header);
    let segment = image(&file).unwrap().segments[0];
    assert_eq!((segment.offset, segment.file_size), (0x30, 0x1d0));
}

#[test]
fn an_elf_file_with_a_multiboot_header_is_one_in_either_class() {
    for wide in [false, true] {
        let mut elf = Elf { wide, machine: 3, ..Elf::new() };
        elf.loads[0] = Load::at(BASE, &multiboot_header(0b11, None), 0x1000);
        let image = image(&elf.bytes()).unwrap();
        assert_eq!(image.kind(), KernelKind::Multiboot);
        assert_eq!(image.entry, BASE);
    }
}

#[test]
fn addresses_in_the_header_come_before_the_elf_segments() {
    let mut elf = Elf::new();
    let addresses = [LOAD + DATA as u32, LOAD, 0, 0, LOAD + DATA as u32 + 4];
    elf.loads[0] = Load::at(BASE, &multiboot_header(0, Some(addresses)), 0x1000);
    let image = image(&elf.bytes()).unwrap();
    assert_eq!(image.segments[0].address, u64::from(LOAD));
    assert_eq!(image.entry, u64::from(LOAD) + DATA as u64 + 4);
}

#[test]
fn a_header_counts_only_aligned_whole_and_early_in_the_file() {
    let header = multiboot_header(0, Some([LOAD, LOAD, 0, 0, LOAD]));
    let at = |offset| {
        let mut file = vec![0x90; 0x3000];
        put(&mut file, offset, &header);
        image(&file)
    };
    at(0).unwrap();
    at(8192 - 32).unwrap();
    for offset in [2, 8192 - 16, 8192] {
        assert!(matches!(at(offset), Err(Unusable::Unknown(_))), "{offset}");
    }
    let mut spoilt = header;
    spoilt[8] ^= 1;
    assert!(image(&spoilt).is_err());
}

#[test]
fn unknown_demands_are_refused_and_a_video_wish_is_not() {
    for (flags, wanted) in [(0b111, true), (1 << 3, false), (1 << 15, false), (1 << 31, true)] {
        let mut file = vec![0x90; 0x200];
        put(&mut file, 0, &multiboot_header(flags, Some([LOAD, LOAD, 0, 0, LOAD])));
        match image(&file) {
            Ok(_) => assert!(wanted, "{flags:#x}"),
            Err(why) => {
                assert!(!wanted, "{flags:#x}");
                assert_eq!(why, Unusable::MultibootFlags(flags | 1 << 16));
            }
        }
    }
}

#[test]
fn contradictions_are_named() {
    for (file, text) in [
        (flat(LOAD - 1, 0, LOAD), "it ends before it starts"),
        (flat(LOAD + 0x100, LOAD + 0x80, LOAD), "its BSS ends before its data"),
        (flat(0, 0, LOAD - 1), "its entry point lies outside of what is loaded"),
        (flat(0, 0, LOAD + 0x200), "its entry point lies outside of what is loaded"),
    ] {
        let expected = Unusable::Damaged { format: "Multiboot image", what: text };
        assert_eq!(image(&file).unwrap_err(), expected);
    }
    assert!(matches!(
        image(&flat(LOAD + 0x201, 0, LOAD)),
        Err(Unusable::Truncated { needed: 0x201, size: 0x200, .. })
    ));
    for header_at in [LOAD - 4, LOAD + 0x44] {
        let mut file = vec![0x90; 0x200];
        put(&mut file, 0x40, &multiboot_header(0, Some([header_at, LOAD, 0, 0, LOAD])));
        assert_eq!(
            image(&file).unwrap_err().to_string(),
            "is a damaged Multiboot image: its load address does not match where its header is"
        );
    }
    let bare = multiboot_header(0, None);
    assert_eq!(
        image(&bare).unwrap_err().to_string(),
        "is a damaged Multiboot image: it is no ELF file, and its header has no load addresses"
    );
}
