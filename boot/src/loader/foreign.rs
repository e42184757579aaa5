//! Files that people take for kernels, by what stands in them.

use super::error::{ParseError, Unusable};
use super::multiboot;
use super::source::Source;

/// A magic number: where it stands, and what the file is then.
struct Magic(usize, &'static [u8], &'static str);

#[rustfmt::skip]
const MAGICS: &[Magic] = &[
    Magic(0, b"\x1f\x8b", "gzip-compressed; unpack it first (`gunzip`)"),
    Magic(0, b"\xfd7zXZ\0", "xz-compressed; unpack it first (`unxz`)"),
    Magic(0, b"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first (`unzstd`)"),
    Magic(0, b"\x04\x22\x4d\x18", "lz4-compressed; unpack it first (`unlz4`)"),
    Magic(0, b"\x02\x21\x4c\x18", "lz4-compressed; unpack it first (`unlz4`)"),
    Magic(0, b"BZh", "bzip2-compressed; unpack it first (`bunzip2`)"),
    Magic(0, b"\x5d\0\0", "LZMA-compressed; unpack it first (`unlzma`)"),
    Magic(0, b"\x89LZO\0", "LZO-compressed; unpack it first (`lzop -d`)"),
    Magic(56, b"ARMd", "an ARM64 Linux kernel; an x86-64 one is needed"),
    Magic(36, b"\x18\x28\x6f\x01", "an ARM Linux kernel (zImage); an x86-64 one is needed"),
    Magic(56, b"RSC\x05", "a RISC-V Linux kernel; an x86-64 one is needed"),
    Magic(4, b"zimg", "a compressed EFI kernel for ARM64, RISC-V or LoongArch"),
    Magic(0, b"\x27\x05\x19\x56", "a U-Boot image (uImage)"),
    Magic(0, b"\xd0\x0d\xfe\xed", "a device tree or a FIT image"),
    Magic(0, b"070701", "a cpio archive, perhaps an initrd (`--initrd`)"),
    Magic(0, b"070702", "a cpio archive, perhaps an initrd (`--initrd`)"),
    Magic(0, b"070707", "a cpio archive, perhaps an initrd (`--initrd`)"),
    Magic(257, b"ustar", "a tar archive"),
    Magic(0, b"PK\x03\x04", "a zip archive"),
    Magic(0, b"!<arch>\n", "a Debian package or a static library (ar archive)"),
    Magic(0, b"\xed\xab\xee\xdb", "an RPM package"),
    Magic(0, b"QFI\xfb", "a qcow2 disk image; a kernel file is needed"),
    Magic(0, b"KDMV", "a VMDK disk image; a kernel file is needed"),
    Magic(0, b"vhdxfile", "a VHDX disk image; a kernel file is needed"),
    Magic(64, b"\x7f\x10\xda\xbe", "a VDI disk image; a kernel file is needed"),
    Magic(512, b"EFI PART", "a raw disk image (GPT partitions); a kernel file is needed"),
    Magic(0, b"hsqs", "a squashfs file system"),
    Magic(1080, b"\x53\xef", "an ext2, ext3 or ext4 file system image"),
    Magic(0, b"XFSB", "an XFS file system image"),
    Magic(0, b"#!", "a script"),
    Magic(0, b"\xcf\xfa\xed\xfe", "a macOS program (Mach-O)"),
    Magic(0, b"\xfe\xed\xfa", "a macOS program (Mach-O)"),
];

const PE_UNIFIED: &str = "a unified kernel image (an EFI program); take the kernel out of it \
     with `objcopy -O binary --only-section=.linux`";

/// No bzImage is shorter: a boot sector and a sector of setup code.
const BZIMAGE_MIN: usize = 1024;

/// What a file is that starts with a magic number of its own.
pub(super) fn recognise(
    source: &Source<'_>,
    head: &[u8],
) -> Result<Option<&'static str>, ParseError> {
    if let Some(Magic(_, _, what)) = MAGICS.iter().find(|magic| holds(head, magic.0, magic.1)) {
        return Ok(Some(*what));
    }
    if head.starts_with(b"MZ") {
        return Ok(Some(dos_program(head)));
    }
    let volume = source.up_to(0x8001, 5)?;
    Ok((volume == b"CD001").then_some("an ISO 9660 (CD or DVD) image; a kernel file is needed"))
}

/// The best that can be said of a file without a magic number.
pub(super) fn guess(head: &[u8]) -> Unusable {
    if multiboot::is_version_2(head) {
        return Unusable::Foreign(
            "a Multiboot 2 image; Multiboot 1, PVH and Linux kernels are taken here",
        );
    }
    if holds(head, 510, b"\x55\xaa") {
        return Unusable::Foreign(boot_sector(head));
    }
    if is_text(head) {
        return Unusable::Foreign("a text file");
    }
    if head.iter().all(|&byte| byte == 0) {
        return Unusable::Foreign("nothing but zeros, as far as it was read");
    }
    Unusable::Unknown(head[..head.len().min(8)].to_vec())
}

/// Text in UTF-8, whose last character the end of `head` may cut.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_some() => return false,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    whole.chars().all(|char| !char.is_control() || char.is_ascii_whitespace())
}

fn holds(head: &[u8], offset: usize, magic: &[u8]) -> bool {
    head.get(offset..).is_some_and(|bytes| bytes.starts_with(magic))
}

/// A program with a DOS header: EFI programs have a PE header behind it, and
/// so have most bzImages, of which this may be no more than the start.
fn dos_program(head: &[u8]) -> &'static str {
    let pe = head
        .get(0x3c..)
        .and_then(|bytes| bytes.first_chunk())
        .and_then(|bytes| usize::try_from(u32::from_le_bytes(*bytes)).ok());
    match pe {
        _ if head.len() < BZIMAGE_MIN => {
            "truncated: it may be the start of a Linux kernel or of an EFI program"
        }
        Some(offset) if holds(head, offset, b"PE\0\0") => {
            if head.windows(8).any(|name| name == b".linux\0\0") {
                PE_UNIFIED
            } else {
                "an EFI or Windows program (PE) without a Linux setup header"
            }
        }
        _ => "a DOS program",
    }
}

/// A boot sector with a partition table, or only one.
fn boot_sector(head: &[u8]) -> &'static str {
    let entries = head[446..510].chunks_exact(16);
    let plausible = |entry: &[u8]| entry[0] & 0x7f == 0;
    let used = |entry: &[u8]| entry[4] != 0;
    if entries.clone().all(plausible) && entries.clone().any(used) {
        "a raw disk image (MBR partitions); a kernel file is needed"
    } else {
        "a boot sector or a disk image, without a Linux setup header"
    }
}

/// The usual name of an ELF machine number.
pub(super) fn machine(machine: u16) -> &'static str {
    match machine {
        2 | 18 | 43 => "SPARC",
        8 => "MIPS",
        20 => "PowerPC",
        21 => "64-bit PowerPC",
        22 => "S/390",
        40 => "32-bit ARM",
        50 => "Itanium",
        183 => "ARM64",
        243 => "RISC-V",
        247 => "BPF",
        258 => "LoongArch",
        _ => "another processor",
    }
}
