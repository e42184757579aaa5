use super::*;
use crate::loader::KernelKind;
use crate::loader::image::Segment;

#[test]
fn an_elf_file_is_entered_by_its_64_bit_entry() {
    let image = image(&Elf::new().bytes()).unwrap();
    assert_eq!(image.kind(), KernelKind::Elf64);
    assert_eq!(image.entry, BASE);
    assert_eq!(image.cmdline_limit, 2047);
    let segment = Segment { offset: DATA as u64, file_size: 6, address: BASE, memory_size: 0x2000 };
    assert_eq!(image.segments, [segment]);
}

#[test]
fn a_pvh_note_decides_the_entry_in_either_class() {
    for wide in [false, true] {
        let elf = Elf { wide, ..Elf::new().with_note(pvh_note(BASE as u32 + 4)) };
        let image = image(&elf.bytes()).unwrap();
        assert_eq!((image.kind(), image.entry), (KernelKind::ElfPvh, BASE + 4));
        assert_eq!(image.cmdline_limit, 0xffff);
        assert!(!image.linux);
    }
}

#[test]
fn the_pvh_note_is_found_behind_others_and_in_any_segment() {
    let entry = (BASE + 4).to_le_bytes();
    for alignment in [4, 8] {
        let mut notes = note(b"GNU\0", 3, b"build-id", alignment);
        notes.extend(note(b"Linux\0", 0x100, b"12345", alignment));
        notes.extend(note(b"Xen\0", 18, &entry, alignment));
        let mut elf = Elf::new().with_note(note(b"GNU\0", 3, b"first", 4));
        elf.notes.push((notes, alignment as u64));
        elf = elf.with_note(note(b"GNU\0", 3, b"last", 4));
        // An address that is nowhere: no 64-bit entry.
        elf.entry = 0;
        let image = image(&elf.bytes()).unwrap();
        assert_eq!((image.kind(), image.entry), (KernelKind::ElfPvh, BASE + 4));
        assert!(image.linux);
        assert_eq!(image.cmdline_limit, 2047);
    }
}

#[test]
fn linux_is_entered_by_its_64_bit_entry_if_it_has_one() {
    let linux = || {
        let notes = [note(b"Linux\0", 0x100, b"12345", 4), pvh_note(BASE as u32 + 4)].concat();
        Elf::new().with_note(notes)
    };
    let parsed = image(&linux().bytes()).unwrap();
    assert_eq!((parsed.kind(), parsed.entry, parsed.linux), (KernelKind::Elf64, BASE, true));
    assert_eq!(parsed.cmdline_limit, 2047);
    let mut elsewhere = linux();
    (elsewhere.loads[0].vaddr, elsewhere.entry) = (0xffff_ffff_8000_0000, 0xffff_ffff_8000_0002);
    let parsed = image(&elsewhere.bytes()).unwrap();
    assert_eq!((parsed.kind(), parsed.entry), (KernelKind::Elf64, BASE + 2));
    for (elf, why) in [
        (Elf { wide: false, ..linux() }, "32 bits"),
        (Elf { kind: 3, ..linux() }, "not at the addresses of its headers"),
        (Elf { entry: BASE - 1, ..linux() }, "an entry before the code"),
        (Elf { entry: BASE + 0x2000, ..linux() }, "an entry behind the code"),
    ] {
        let parsed = image(&elf.bytes()).unwrap();
        assert_eq!((parsed.kind(), parsed.entry), (KernelKind::ElfPvh, BASE + 4), "{why}");
    }
}

#[test]
fn notes_padded_to_4_are_found_in_segments_aligned_to_8() {
    let mut elf = Elf::new();
    let mut notes = note(b"GNU\0", 0x100, b"12345", 4);
    notes.extend(pvh_note(BASE as u32));
    elf.notes.push((notes, 8));
    assert_eq!(image(&elf.bytes()).unwrap().kind(), KernelKind::ElfPvh);
}

#[test]
fn linux_is_known_by_its_xen_note_too() {
    let elf = Elf::new().with_note(note(b"Xen\0", 6, b"linux", 4));
    assert!(image(&elf.bytes()).unwrap().linux);
}

#[test]
fn a_virtual_entry_point_is_made_physical() {
    let mut elf = Elf::new();
    elf.loads[0].vaddr = 0xffff_ffff_8000_0000;
    elf.entry = 0xffff_ffff_8000_0002;
    assert_eq!(image(&elf.bytes()).unwrap().entry, BASE + 2);
}

#[test]
fn files_that_are_no_kernels_are_named() {
    let abi_tag = note(b"GNU\0", 1, &[0; 16], 4);
    let elf = Elf::new;
    for (elf, what) in [
        (
            Elf { wide: false, ..elf() },
            "a 32-bit ELF file without a Multiboot header or a PVH note",
        ),
        (Elf { kind: 1, ..elf() }, "an object file (.o), not yet linked into a kernel"),
        (Elf { kind: 4, ..elf() }, "a core dump"),
        (
            Elf { kind: 3, ..elf() },
            "a shared object or a position-independent program, not a kernel",
        ),
        (Elf { kind: 3, interpreter: true, ..elf() }, "a Linux program, not a kernel"),
        (elf().with_note(abi_tag), "a Linux program, not a kernel"),
        (Elf { kind: 9, ..elf() }, "an ELF file, but no executable one"),
    ] {
        assert_eq!(image(&elf.bytes()).unwrap_err(), Unusable::Foreign(what));
    }
}

#[test]
fn other_machines_are_named() {
    for (machine, name) in [(183, "ARM64"), (40, "32-bit ARM"), (9999, "another processor")] {
        let elf = Elf { machine, ..Elf::new() };
        assert_eq!(image(&elf.bytes()).unwrap_err(), Unusable::Machine { machine, name });
    }
    let mut big_endian = Elf::new().bytes();
    big_endian[5] = 2;
    assert_eq!(
        image(&big_endian).unwrap_err(),
        Unusable::Foreign("a big-endian ELF file, not one for x86-64")
    );
}

#[test]
fn a_file_shorter_than_its_headers_say_is_truncated() {
    let whole = Elf::new().with_note(pvh_note(BASE as u32)).bytes();
    for size in [5, 20, 63, 100, DATA, DATA + 5, whole.len() - 1] {
        let why = image(&whole[..size]).unwrap_err();
        assert!(matches!(why, Unusable::Truncated { .. }), "{size}: {why}");
    }
    image(&whole).unwrap();
}

/// A test kernel with one field overwritten.
fn spoilt(offset: usize, bytes: &[u8]) -> Unusable {
    let mut file = Elf::new().bytes();
    put(&mut file, offset, bytes);
    image(&file).unwrap_err()
}

#[test]
fn contradictions_are_named() {
    let phdr = |field: usize| 64 + field;
    for (offset, bytes, text) in [
        (4, &[7][..], "it is neither of 32 nor of 64 bits"),
        (54, &[32, 0], "its program headers have the wrong size"),
        (56, &[1, 1], "it has more than 256 program headers"),
        (56, &[0, 0], "there is nothing in it to load"),
        (24, &[0; 8], "its entry point lies outside of all that is loaded"),
        (phdr(24), &[0xff; 8], "a segment wraps around the address space"),
        (phdr(40), &[5, 0], "a segment is larger in the file than in memory"),
    ] {
        let expected = Unusable::Damaged { format: "ELF file", what: text };
        assert_eq!(spoilt(offset, bytes), expected);
    }
}

#[test]
fn offsets_near_the_end_of_the_number_range_are_past_the_file() {
    for offset in [32, 64 + 8, 64 + 32] {
        let why = spoilt(offset, &[0xff; 8]);
        assert!(matches!(why, Unusable::Truncated { .. }), "{offset}: {why}");
    }
}

#[test]
fn a_pvh_entry_outside_of_the_kernel_is_refused() {
    let elf = Elf::new().with_note(pvh_note(4));
    assert!(matches!(image(&elf.bytes()), Err(Unusable::Damaged { .. })));
    let elf = Elf::new().with_note(note(b"Xen\0", 18, &(1_u64 << 32).to_le_bytes(), 4));
    assert!(matches!(image(&elf.bytes()), Err(Unusable::Damaged { .. })));
}

#[test]
fn a_program_is_as_long_as_what_is_loaded_of_it() {
    let test = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let whole = test.metadata().unwrap().len();
    let loaded = crate::loader::loaded_size(&test).unwrap();
    // Sections of symbols and their names at least follow.
    assert!((64..whole).contains(&loaded), "{loaded} of {whole} bytes are loaded");
    let text = std::fs::File::open("src/lib.rs").unwrap();
    assert!(crate::loader::loaded_size(&text).is_err());
}
