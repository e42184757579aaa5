use std::io::Write;
use std::time::{Duration, Instant};

use super::*;
use crate::loader::{Setting, options_of_bytes};

const TEXT: &str = "\
# Linux/x86 6.12 Kernel Configuration
CONFIG_VIRTIO=y
CONFIG_VIRTIO_FS=m
# CONFIG_OVERLAY_FS is not set
CONFIG_CMDLINE=\"\"
CONFIG_HZ=100
";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// What `CONFIG_IKCONFIG` puts into a kernel.
pub(super) fn ikconfig() -> Vec<u8> {
    [b"IKCFG_ST", &gzip(TEXT.as_bytes())[..], b"IKCFG_ED"].concat()
}

/// An ELF kernel that holds `text` behind `before` other bytes.
pub(super) fn elf_of(before: usize, text: &[u8]) -> Vec<u8> {
    let data = [&vec![0x90; before][..], text, &[0; 300]].concat();
    let size = data.len() as u64;
    Elf { loads: vec![Load::at(BASE, &data, size)], ..Elf::new() }.bytes()
}

/// A bzImage that unpacks `payload`, with the four bytes behind it that say how
/// long it is.
fn bzimage_of(payload: &[u8]) -> Vec<u8> {
    let mut code = vec![0x90; 0x400];
    code.extend(payload);
    code.extend(0x0010_0000_u32.to_le_bytes());
    let length = code.len() - 0x400;
    let mut file = bzimage(&code);
    put(&mut file, 0x200, &[0xeb, 0x6a]);
    put(&mut file, 0x248, &0x400_u32.to_le_bytes()); // payload_offset
    put(&mut file, 0x24c, &(length as u32).to_le_bytes()); // payload_length
    file
}

/// LZ4's old frame, of literals only.
fn lz4(blocks: &[&[u8]]) -> Vec<u8> {
    let mut frame = 0x184c_2102_u32.to_le_bytes().to_vec();
    for block in blocks {
        let mut packed = vec![0xf0];
        let rest = block.len() - 15;
        packed.extend(std::iter::repeat_n(0xff, rest / 255));
        packed.push((rest % 255) as u8);
        packed.extend(*block);
        frame.extend((packed.len() as u32).to_le_bytes());
        frame.extend(packed);
    }
    frame
}

/// When all is over that is not stuck.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn contents(file: &[u8]) -> std::io::Result<Vec<u8>> {
    let (_kept, kernel) = kernel(file);
    kernel.contents(later())
}

#[test]
fn the_options_of_a_kernel_are_found_wherever_they_lie() {
    for before in [0, 4096, (64 << 10) - 20, (64 << 10) - 5, 3 << 20] {
        let options = options_of_bytes(&elf_of(before, &ikconfig())).unwrap();
        assert_eq!(options.setting("VIRTIO"), Setting::BuiltIn, "{before}");
        assert_eq!(options.setting("VIRTIO_FS"), Setting::Module);
        assert_eq!(options.setting("OVERLAY_FS"), Setting::Absent);
        assert_eq!(options.setting("VIRTIO_F"), Setting::Absent);
        assert_eq!(options.setting("HZ"), Setting::BuiltIn);
    }
    let packed = bzimage_of(&gzip(&elf_of(5000, &ikconfig())));
    assert_eq!(options_of_bytes(&packed).unwrap().setting("VIRTIO_FS"), Setting::Module);
    let (_kept, kernel) = kernel(&packed);
    assert!(kernel.options(later()).unwrap().is_some());
}

#[test]
fn a_kernel_without_its_options_says_so() {
    for file in [
        elf_of(0, b"IKCFG_ST, but no more"),
        elf_of(0, b"IKCFG_ST\x1f\x8b\x08 damaged"),
        bzimage_of(b"packed in a way of its own"),
        bzimage_of(&gzip(b"nothing")),
        bzimage_of(&[0x1f, 0x8b, 8, 0, 0]),
        bzimage(&[0x90; 0x400]),
    ] {
        assert_eq!(options_of_bytes(&file), None);
        let (_kept, kernel) = kernel(&file);
        assert_eq!(kernel.options(later()).unwrap(), None);
    }
}

#[test]
fn an_image_is_not_asked_for_longer_than_is_allowed() {
    let (_kept, kernel) = kernel(&elf_of(0, &ikconfig()));
    assert_eq!(kernel.options(Instant::now()).unwrap(), None);
}

#[test]
fn a_kernel_is_unpacked_to_its_last_byte() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    assert!(contents(&bzimage_of(&gzip(&bytes))).unwrap() == bytes);
    let (first, second) = bytes.split_at(100_000);
    assert!(contents(&bzimage_of(&lz4(&[first, second]))).unwrap() == bytes);
    // Of an ELF file, what is loaded, each piece where a table could begin.
    let loads = vec![Load::at(BASE, b"kernel", 0x1000), Load::at(BASE + 0x1000, b"data", 0x1000)];
    let found = contents(&Elf { loads, ..Elf::new() }.bytes()).unwrap();
    assert_eq!(found, b"kernel\0\0data\0\0\0\0");
}

#[test]
fn unpacking_has_an_end() {
    let bomb = bzimage_of(&gzip(&vec![0; 8 << 20]));
    let (_kept, kernel) = kernel(&bomb);
    let error = kernel.contents(Instant::now()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
