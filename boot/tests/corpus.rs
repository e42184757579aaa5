//! Replays the corpora of boot's fuzz targets, each input once, through the
//! functions that the targets call.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use boot::initramfs::play_lists;
use boot::loader::{Unusable, options_of_bytes, parse_bytes, release_of_bytes};
use boot::{Cmdline, Kernel, KernelKind, load};
use vm_memory::GuestAddress;
use vmm_core::mem::{allocate, plan};

/// The inputs of a target: file name and contents.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    inputs
}

/// Whether the fuzzer made it (`resources/fuzz --keep`): such an input is
/// there for the code it reaches, and its name says nothing.
fn is_found(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with("found-")
}

/// What became of an input, in the words that its file name starts with.
fn verdict(result: Result<KernelKind, Unusable>) -> &'static str {
    match result {
        Ok(KernelKind::BzImage) => "bzimage",
        Ok(KernelKind::ElfPvh) => "pvh",
        Ok(KernelKind::Elf64) => "elf64",
        Ok(KernelKind::Multiboot) => "multiboot",
        Ok(_) => unreachable!("no other kinds are known"),
        Err(Unusable::Truncated { .. }) => "truncated",
        Err(Unusable::Damaged { .. }) => "damaged",
        Err(Unusable::Foreign(_)) => "foreign",
        Err(_) => "refused",
    }
}

fn check(path: &Path, result: Result<KernelKind, Unusable>) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let verdict = verdict(result);
    assert!(is_found(path) || name.starts_with(verdict), "{name} is {verdict}");
}

#[test]
fn kernel_open_says_of_each_input_what_its_name_says() {
    for (path, data) in corpus("kernel_open") {
        check(&path, parse_bytes(&data));
        // Whatever the file is, the search for a release and options ends.
        release_of_bytes(&data);
        let has_options = path.to_str().unwrap().ends_with("-options");
        assert!(is_found(&path) || options_of_bytes(&data).is_some() == has_options);
    }
}

#[test]
fn module_lists_give_an_order_or_an_error() {
    for (_, data) in corpus("module_lists") {
        play_lists(&data);
    }
}

#[test]
fn kernel_load_takes_or_refuses_what_opens() {
    for (path, data) in corpus("kernel_open") {
        let opened = Kernel::open(&path);
        assert_eq!(opened.is_ok(), parse_bytes(&data).is_ok(), "{}", path.display());
        if let Ok(mut kernel) = opened {
            let ram = allocate(&plan(32 << 20)).unwrap();
            let loaded = load(&ram, &mut kernel, &[], "console=ttyS0", GuestAddress(0xe_0000));
            let misplaced = path.to_str().unwrap().ends_with("-misplaced");
            let expected = is_found(&path) || loaded.is_err() == misplaced;
            assert!(expected, "{}: {loaded:?}", path.display());
        }
    }
}

#[test]
fn multiboot_says_of_each_header_what_its_name_says() {
    for (path, data) in corpus("multiboot") {
        let Some((flags, rest)) = data.split_first_chunk() else {
            assert!(is_found(&path), "{} is too short", path.display());
            continue;
        };
        let (magic, flags) = (0x1bad_b002_u32, u32::from_le_bytes(*flags));
        let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(flags);
        let header = [magic, flags, checksum].map(u32::to_le_bytes).concat();
        check(&path, parse_bytes(&[&header, rest].concat()));
    }
}

#[test]
fn cmdline_loses_nothing() {
    for (path, data) in corpus("cmdline") {
        let text = String::from_utf8_lossy(&data);
        let (line, words) = text.split_once('\n').unwrap_or((&text, ""));
        let Ok(mut cmdline) = Cmdline::new(line) else {
            assert!(is_found(&path), "{} is no command line", path.display());
            continue;
        };
        let before = cmdline.clone();
        match cmdline.append(words) {
            Ok(()) => assert!(cmdline.len() >= before.len() + words.len(), "{}", path.display()),
            Err(_) => assert_eq!(cmdline, before, "{}", path.display()),
        }
    }
}
