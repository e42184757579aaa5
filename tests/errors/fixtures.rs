//! The files that the transcripts name.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A user and group without any rights, on Debian and elsewhere.
const NOBODY: u32 = 65534;

/// Makes a folder with the binary and every file, readable by everyone.
pub(super) fn make() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary folder");
    let path = place.path();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    // A copy, for users who cannot reach the build's folder. Written by another
    // process: a descriptor of ours that another test's fork inherits would
    // make the file too busy to be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_kiln")).arg(path.join("kiln")).status();
    assert!(copied.unwrap().success());
    kernels(path);
    disks(path);
    fs::create_dir(path.join("folder")).unwrap();
    place
}

/// The binary in that folder, run there, with nothing on its stdin.
pub(super) fn kiln(place: &Path) -> Command {
    let mut command = Command::new(place.join("kiln"));
    command.current_dir(place).stdin(Stdio::null());
    command
}

/// Takes root's rights away; anybody else runs it as they are.
pub(super) fn as_nobody(command: &mut Command) {
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn write(place: &Path, name: &str, bytes: &[u8]) {
    fs::write(place.join(name), bytes).unwrap();
}

fn sparse(place: &Path, name: &str, size: u64) {
    File::create(place.join(name)).unwrap().set_len(size).unwrap();
}

fn kernels(place: &Path) {
    // mov al, 7; out 0xf4, al; hlt; jmp $-1
    let kernel = elf64(&[0xb0, 0x07, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd, 0x90]);
    write(place, "vmlinux", &kernel);
    // mov dx, 0x3f8; mov al, 'R'; out dx, al; jmp $
    let stays = elf64(&[0x66, 0xba, 0xf8, 0x03, 0xb0, b'R', 0xee, 0xeb, 0xfe]);
    write(place, "stays.elf", &stays);
    write(place, "cut-short.elf", &kernel[..kernel.len() - 8]);
    write(place, "secret", &kernel);
    fs::set_permissions(place.join("secret"), Permissions::from_mode(0o0)).unwrap();
    write(place, "empty", b"");
    write(place, "short", b"MZ");
    write(place, "kernel.gz", &padded(b"\x1f\x8b\x08\x00"));
    write(place, "kernel.xz", &padded(b"\xfd7zXZ\x00"));
    write(place, "kernel.zst", &padded(b"\x28\xb5\x2f\xfd"));
    write(place, "script.sh", b"#!/bin/sh\necho hello\n");
    write(place, "text", "just some words\n".repeat(64).as_bytes());
    write(place, "arm64-Image", &arm64_image());
    write(place, "elf32", &elf(1, 3));
    write(place, "elf-arm64", &elf(2, 183));
    write(place, "bzImage-cut-short", &bzimage_header());
    sparse(place, "big.cpio", 600 << 20);
    write(place, "initrd", b"070701");
}

fn disks(place: &Path) {
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    write(place, "disk.img", &disk);
    fs::set_permissions(place.join("disk.img"), Permissions::from_mode(0o666)).unwrap();
    write(place, "protected.img", &disk);
    fs::set_permissions(place.join("protected.img"), Permissions::from_mode(0o444)).unwrap();
    write(place, "ragged.img", &disk[..1000]);
    write(place, "empty.img", b"");
    write(place, "raw.qcow2", &disk);
    write(place, "encrypted.qcow2", &encrypted_qcow2());
}

/// The header of a qcow2 image of 1 MiB that is encrypted (QEMU's
/// docs/interop/qcow2.txt).
fn encrypted_qcow2() -> Vec<u8> {
    let mut bytes = vec![0; 64 << 10];
    bytes[..4].copy_from_slice(b"QFI\xfb");
    for (at, value) in [(4, 2_u32), (20, 16), (28, 1 << 20), (32, 1), (36, 1), (56, 1)] {
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

/// `magic` and then nothing but zeros.
fn padded(magic: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.resize(4096, 0);
    bytes
}

/// Linux's header for arm64 (Documentation/arch/arm64/booting.rst).
fn arm64_image() -> Vec<u8> {
    let mut bytes = padded(b"");
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

/// The first sector of a bzImage and nothing behind it
/// (Documentation/arch/x86/boot.rst).
fn bzimage_header() -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[0x1f1] = 4;
    bytes[0x1f4..0x1f8].copy_from_slice(&0x1_0000_u32.to_le_bytes());
    bytes[0x1fe..0x202].copy_from_slice(&[0x55, 0xaa, 0xeb, 0x6a]);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    bytes[0x211] = 1;
    bytes[0x236..0x238].copy_from_slice(&1_u16.to_le_bytes());
    bytes
}

/// An ELF header of that class (1 for 32, 2 for 64 bits) and machine.
fn elf(class: u8, machine: u16) -> Vec<u8> {
    let mut bytes = padded(b"\x7fELF");
    bytes[4..7].copy_from_slice(&[class, 1, 1]);
    bytes[16] = 2;
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[20] = 1;
    bytes
}

/// A kernel as small as one can be: one segment at 1 MiB with `code`.
fn elf64(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x10_0000;
    const HEADERS: u64 = 64 + 56;
    let mut bytes = elf(2, 62);
    bytes.truncate(64);
    bytes[24..32].copy_from_slice(&BASE.to_le_bytes());
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    for (at, value) in [(52, 64_u16), (54, 56), (56, 1)] {
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    bytes.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    let length = code.len() as u64;
    for word in [HEADERS, BASE, BASE, length, length, 8] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}
