use std::os::unix::net::UnixListener;

use super::*;

/// What is said of a file with these bytes, each run at its offset.
fn said(runs: &[(usize, &[u8])]) -> String {
    let mut file = vec![0; 0x9000];
    for (offset, bytes) in runs {
        put(&mut file, *offset, bytes);
    }
    image(&file).unwrap_err().to_string()
}

#[test]
fn files_with_a_magic_number_are_named() {
    for (offset, magic, text) in [
        (0, &b"\x1f\x8b\x08"[..], "is gzip-compressed; unpack it first (`gunzip`)"),
        (0, b"\xfd7zXZ\0", "is xz-compressed; unpack it first (`unxz`)"),
        (0, b"\x28\xb5\x2f\xfd", "is zstd-compressed; unpack it first (`unzstd`)"),
        (0, b"\x04\x22\x4d\x18", "is lz4-compressed; unpack it first (`unlz4`)"),
        (0, b"BZh9", "is bzip2-compressed; unpack it first (`bunzip2`)"),
        (56, b"ARM\x64", "is an ARM64 Linux kernel; an x86-64 one is needed"),
        (36, b"\x18\x28\x6f\x01", "is an ARM Linux kernel (zImage); an x86-64 one is needed"),
        (0, b"QFI\xfb\0\0\0\x03", "is a qcow2 disk image; a kernel file is needed"),
        (512, b"EFI PART", "is a raw disk image (GPT partitions); a kernel file is needed"),
        (0x8001, b"CD001", "is an ISO 9660 (CD or DVD) image; a kernel file is needed"),
        (0, b"070701", "is a cpio archive, perhaps an initrd (`--initrd`)"),
        (0, b"hsqs", "is a squashfs file system"),
        (1080, b"\x53\xef", "is an ext2, ext3 or ext4 file system image"),
        (0, b"#!/bin/sh\n", "is a script"),
    ] {
        assert_eq!(said(&[(offset, magic)]), text);
    }
}

#[test]
fn efi_programs_are_told_apart() {
    let dos: &[(usize, &[u8])] = &[(0, b"MZ"), (0x3c, &[0x80, 0, 0, 0])];
    assert_eq!(said(dos), "is a DOS program");
    let pe = [dos, &[(0x80, b"PE\0\0")]].concat();
    assert_eq!(said(&pe), "is an EFI or Windows program (PE) without a Linux setup header");
    let unified = [&pe[..], &[(0x1a4, b".linux\0\0")]].concat();
    assert_eq!(
        said(&unified),
        "is a unified kernel image (an EFI program); take the kernel out of it with `objcopy -O \
         binary --only-section=.linux`"
    );
    let zboot = [dos, &[(4, b"zimg")]].concat();
    assert_eq!(said(&zboot), "is a compressed EFI kernel for ARM64, RISC-V or LoongArch");
}

#[test]
fn the_mere_start_of_a_kernel_is_called_truncated() {
    let mut file = bzimage(&[0x90; 0x210]);
    put(&mut file, 0, b"MZ");
    image(&file).unwrap();
    for size in [2, 0x40, 0x1ff, 0x205] {
        assert_eq!(
            image(&file[..size]).unwrap_err().to_string(),
            "is truncated: it may be the start of a Linux kernel or of an EFI program"
        );
    }
}

#[test]
fn disks_and_boot_sectors_are_told_apart() {
    let mark: (usize, &[u8]) = (510, b"\x55\xaa");
    let mut partition = [0; 16];
    partition[0] = 0x80;
    partition[4] = 0x83;
    assert_eq!(
        said(&[mark, (446, &partition)]),
        "is a raw disk image (MBR partitions); a kernel file is needed"
    );
    partition[0] = 0x12;
    let sector = "is a boot sector or a disk image, without a Linux setup header";
    assert_eq!(said(&[mark, (446, &partition)]), sector);
    assert_eq!(said(&[mark]), sector);
}

#[test]
fn the_rest_is_described() {
    assert_eq!(image(b"").unwrap_err().to_string(), "is empty");
    assert_eq!(image(b"[Unit]\n").unwrap_err().to_string(), "is a text file");
    assert_eq!(image("Grüße".as_bytes()).unwrap_err().to_string(), "is a text file");
    assert_eq!(said(&[]), "is nothing but zeros, as far as it was read");
    assert_eq!(
        said(&[(0, b"\x01\x02\xfe")]),
        "is no kernel in any format known here: its first bytes are [01, 02, fe, 00, 00, 00, 00, 00]"
    );
    assert_eq!(
        said(&[(8, &0xe852_50d6_u32.to_le_bytes())]),
        "is a Multiboot 2 image; Multiboot 1, PVH and Linux kernels are taken here"
    );
}

#[test]
fn what_is_no_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = |path: &std::path::Path| {
        let text = Kernel::open(path).unwrap_err().to_string();
        text.replace(path.to_str().unwrap(), "PATH")
    };
    assert_eq!(said(dir.path()), "kernel PATH is a directory, not a file");
    assert_eq!(said("/dev/null".as_ref()), "kernel PATH is a character device, not a file");
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(said(&socket), "kernel PATH is a socket, not a file");
    assert_eq!(said(&dir.path().join("missing")), "cannot open kernel PATH");
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    assert_eq!(said(&empty), "kernel PATH is empty");
}

#[test]
fn a_truncated_kernel_is_described_with_both_sizes() {
    let file = bzimage(&[0x90; 0x800]);
    assert_eq!(
        image(&file[..2048]).unwrap_err().to_string(),
        "is truncated: its bzImage headers call for 3072 bytes, the file has 2048"
    );
}
