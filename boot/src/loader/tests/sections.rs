use super::options::{elf_of, ikconfig};
use super::*;
use crate::loader::{options_of_bytes, release_of_bytes};

/// Adds a table of sections to an ELF file: what is at `from` to its end is
/// `.rodata`.
fn with_read_only_data(mut file: Vec<u8>, from: usize) -> Vec<u8> {
    let size = file.len() - from;
    let names = file.len();
    file.extend(b"\0.rodata\0.shstrtab\0");
    let table = file.len().next_multiple_of(8);
    file.resize(table + 3 * 64, 0);
    for (number, name, kind, offset, size) in [(1, 1_u32, 1_u32, from, size), (2, 9, 3, names, 19)]
    {
        let at = table + 64 * number;
        put(&mut file, at, &name.to_le_bytes());
        put(&mut file, at + 4, &kind.to_le_bytes());
        put(&mut file, at + 24, &(offset as u64).to_le_bytes());
        put(&mut file, at + 32, &(size as u64).to_le_bytes());
    }
    put(&mut file, 40, &(table as u64).to_le_bytes()); // e_shoff
    put(&mut file, 58, &64_u16.to_le_bytes()); // e_shentsize
    put(&mut file, 60, &3_u16.to_le_bytes()); // e_shnum
    put(&mut file, 62, &2_u16.to_le_bytes()); // e_shstrndx
    file
}

const OLD: &[u8] = b"Linux version 5.4.0-other (me@here)";
const NEW: &[u8] = b"Linux version 6.1.0-minimal (me@here)";

fn place_of(file: &[u8], text: &[u8]) -> usize {
    file.windows(text.len()).position(|bytes| bytes == text).unwrap()
}

#[test]
fn a_kernel_tells_of_itself_in_its_read_only_data() {
    let plain = elf_of(5000, &[OLD, b"\0", NEW, b"\0", &ikconfig()].concat());
    assert_eq!(release_of_bytes(&plain).as_deref(), Some("5.4.0-other"));
    let file = with_read_only_data(plain.clone(), place_of(&plain, NEW));
    assert_eq!(release_of_bytes(&file).as_deref(), Some("6.1.0-minimal"));
    assert_eq!(options_of_bytes(&file), options_of_bytes(&plain));
    assert!(options_of_bytes(&file).is_some());
    // Its options are nowhere else, and its release may be.
    let file = with_read_only_data(plain.clone(), plain.len() - 100);
    assert_eq!(options_of_bytes(&file), None);
    assert_eq!(release_of_bytes(&file).as_deref(), Some("5.4.0-other"));
}

#[test]
fn a_damaged_table_of_sections_is_as_good_as_none() {
    let plain = elf_of(5000, &[OLD, b"\0", NEW, b"\0", &ikconfig()].concat());
    let from = place_of(&plain, NEW);
    let whole = with_read_only_data(plain.clone(), from);
    let table = u64::from_le_bytes(whole[40..48].try_into().unwrap()) as usize;
    let [section, names] = [table + 64, table + 128];
    for (at, bytes) in [
        (40, &u64::MAX.to_le_bytes()[..]),
        (40, &(whole.len() as u64).to_le_bytes()),
        (58, &63_u16.to_le_bytes()),
        (60, &0_u16.to_le_bytes()),
        (62, &0_u16.to_le_bytes()),
        (62, &u16::MAX.to_le_bytes()),
        (section, &u32::MAX.to_le_bytes()),
        (section + 4, &8_u32.to_le_bytes()),
        (section + 24, &u64::MAX.to_le_bytes()),
        (section + 32, &(whole.len() as u64).to_le_bytes()),
        (names + 24, &u64::MAX.to_le_bytes()),
        (names + 32, &0_u64.to_le_bytes()),
    ] {
        let mut file = whole.clone();
        put(&mut file, at, bytes);
        assert_eq!(release_of_bytes(&file).as_deref(), Some("5.4.0-other"), "{at}");
        assert!(options_of_bytes(&file).is_some(), "{at}");
    }
    for end in (from..whole.len()).step_by(3) {
        let _ = release_of_bytes(&whole[..end]);
        let _ = options_of_bytes(&whole[..end]);
    }
}
