use std::io::{Read, Write};

use cpio::newc::Reader;
use proptest::collection::vec;
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};
use vmm_core::mem;

use super::Initramfs;
use crate::linux::Initrd;

const AT: u64 = 0x10_0000;

/// What the guest finds in its memory.
fn bytes(initrd: &Initrd) -> Vec<u8> {
    let ram = mem::allocate(&mem::plan(4 << 20)).unwrap();
    initrd.copy_to(&ram, AT).unwrap();
    let mut bytes = vec![0; usize::try_from(initrd.size()).unwrap()];
    ram.read_slice(&mut bytes, GuestAddress(AT)).unwrap();
    bytes
}

/// Name, mode, device and contents.
type Entry = (String, u32, (u32, u32), Vec<u8>);

fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut rest = archive;
    loop {
        let mut reader = Reader::new(rest).unwrap();
        let entry = reader.entry();
        if entry.is_trailer() {
            return found;
        }
        let (name, mode) = (entry.name().to_owned(), entry.mode());
        let device = (entry.rdev_major(), entry.rdev_minor());
        let mut contents = Vec::new();
        reader.read_to_end(&mut contents).unwrap();
        found.push((name, mode, device, contents));
        rest = reader.finish().unwrap();
    }
}

fn host_file(contents: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(contents).unwrap();
    file
}

#[test]
fn folders_devices_and_programs_are_found_again() {
    let mut initramfs = Initramfs::default();
    initramfs.folder("dev");
    initramfs.device("dev/console", 5, 1);
    initramfs.program("init", host_file(b"a program and what is not of it"), 9);
    let found = entries(&bytes(&initramfs.finish()));
    let expected = [
        ("dev".to_owned(), 0o040_755, (0, 0), vec![]),
        ("dev/console".to_owned(), 0o020_600, (5, 1), vec![]),
        ("init".to_owned(), 0o100_755, (0, 0), b"a program".to_vec()),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn files_of_any_length_come_out_as_they_went_in(files in vec(vec(any::<u8>(), 0..40), 0..8)) {
        let mut initramfs = Initramfs::default();
        for (number, contents) in files.iter().enumerate() {
            if number % 2 == 0 {
                initramfs.file(&number.to_string(), contents);
            } else {
                let size = u32::try_from(contents.len()).unwrap();
                initramfs.program(&number.to_string(), host_file(contents), size);
            }
        }
        let archive = bytes(&initramfs.finish());
        prop_assert_eq!(archive.len() % 4, 0);
        let found: Vec<_> = entries(&archive).into_iter().map(|entry| entry.3).collect();
        prop_assert_eq!(found, files);
    }
}
