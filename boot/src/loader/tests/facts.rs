use super::*;
use crate::loader::release_of_bytes;

/// A bzImage whose header points at `text`.
fn bzimage_of(text: &[u8]) -> Vec<u8> {
    let mut file = bzimage(&[0x90; 0x400]);
    put(&mut file, 0x20e, &0x300_u16.to_le_bytes());
    put(&mut file, 0x500, text);
    file
}

/// An ELF kernel that holds `text` behind `before` other bytes.
fn elf_of(before: usize, text: &[u8]) -> Vec<u8> {
    let data = [&vec![0x90; before][..], text, &[0; 300]].concat();
    let size = data.len() as u64;
    Elf { loads: vec![Load::at(BASE, &data, size)], ..Elf::new() }.bytes()
}

#[test]
fn the_release_is_read_from_the_header_or_the_banner() {
    let text = b"6.12.9+deb12-cloud-amd64 (someone@somewhere) #1 SMP\0";
    let file = bzimage_of(text);
    assert_eq!(release_of_bytes(&file).as_deref(), Some("6.12.9+deb12-cloud-amd64"));
    let (_kept, kernel) = kernel(&file);
    assert_eq!(kernel.release().unwrap().as_deref(), Some("6.12.9+deb12-cloud-amd64"));
    for before in [0, 4096, (64 << 10) - 20, (64 << 10) - 5, 3 << 20] {
        let file = elf_of(before, b"Linux version 6.1.0-minimal (me@here)");
        assert_eq!(release_of_bytes(&file).as_deref(), Some("6.1.0-minimal"), "{before}");
    }
}

#[test]
fn what_looks_like_no_release_is_none() {
    for text in [&b"../../etc \0"[..], b"6.1/../x \0", b"version\0", b"\0", b"6.1.0"] {
        let text = [text, &[b'x'; 200]].concat();
        assert_eq!(release_of_bytes(&elf_of(0, &[b"Linux version ", &text[..]].concat())), None);
        assert_eq!(release_of_bytes(&bzimage_of(&text)), None);
    }
    // The format string of another message comes first.
    let file = elf_of(0, b"Linux version %s (%s)\0 and then Linux version 5.4 (x)");
    assert_eq!(release_of_bytes(&file).as_deref(), Some("5.4"));
    assert_eq!(release_of_bytes(&bzimage(&[0x90; 0x400])), None);
}
