//! Linux bzImage, by the 64-bit boot protocol.
//!
//! Source: Linux, Documentation/arch/x86/boot.rst.

use linux_loader::bootparam::{LOADED_HIGH, XLF_KERNEL_64, setup_header};
use vm_memory::ByteValued;
use vmm_core::arch::x86_64::layout;

use super::error::{ParseError, Unusable};
use super::image::{Image, Protocol, Segment};
use super::source::Source;

const FORMAT: &str = "bzImage";
const BOOT_FLAG: usize = 0x1fe;
const SETUP_HEADER: usize = 0x1f1;
/// The byte here is the distance from [`MAGIC`] to the header's end.
const HEADER_LENGTH: usize = 0x201;
const MAGIC: usize = 0x202;
const SECTOR: u64 = 512;
/// First protocol with `xloadflags`, and so with a known 64-bit entry.
const VERSION_64BIT: u16 = 0x020c;
/// The 64-bit entry, counted from where the kernel is loaded.
const ENTRY_64: u64 = 0x200;
/// Command line limit of a kernel that names none.
const CMDLINE_DEFAULT: u32 = 255;

pub(super) fn recognise(head: &[u8]) -> bool {
    head.get(MAGIC..MAGIC + 4) == Some(b"HdrS") && head[BOOT_FLAG..][..2] == [0x55, 0xaa]
}

pub(super) fn parse(source: &Source<'_>, head: &[u8]) -> Result<Image, ParseError> {
    let header = setup_header_of(source, head)?;
    check_protocol(&header)?;
    let setup_sectors = match header.setup_sects {
        0 => 4,
        n => u64::from(n),
    };
    let offset = (setup_sectors + 1) * SECTOR;
    let file_size = match header.syssize {
        0 => source.size.saturating_sub(offset),
        paragraphs => u64::from(paragraphs) * 16,
    };
    source.check(FORMAT, offset, file_size)?;
    if file_size <= ENTRY_64 {
        return Err(damaged("its code ends before the 64-bit entry"));
    }
    // Below its preferred address a kernel only moves itself up to it.
    let address = match header.pref_address {
        0 => layout::HIGH_MEMORY,
        address => address,
    };
    let memory_size = file_size.max(u64::from(header.init_size));
    if address.checked_add(memory_size).is_none() {
        return Err(damaged("its preferred address is out of bounds"));
    }
    let cmdline_limit = match header.cmdline_size {
        0 => CMDLINE_DEFAULT,
        size => size,
    };
    Ok(Image {
        segments: vec![Segment { offset, file_size, address, memory_size }],
        entry: address + ENTRY_64,
        cmdline_limit: usize::try_from(cmdline_limit).expect("sizes have 64 bits here"),
        linux: true,
        protocol: Protocol::BzImage(Box::new(header)),
    })
}

/// The header as far as the file has it; fields of later protocols are zero.
fn setup_header_of(source: &Source<'_>, head: &[u8]) -> Result<setup_header, ParseError> {
    let mut header = setup_header::default();
    let bytes = header.as_mut_slice();
    let end = (MAGIC + usize::from(head[HEADER_LENGTH])).min(SETUP_HEADER + bytes.len());
    source.check(FORMAT, 0, u64::try_from(end).expect("a header is short"))?;
    let present = &head[SETUP_HEADER..end];
    bytes[..present.len()].copy_from_slice(present);
    Ok(header)
}

fn check_protocol(header: &setup_header) -> Result<(), ParseError> {
    if u32::from(header.loadflags) & LOADED_HIGH == 0 {
        return Err(Unusable::Foreign("a zImage, an old Linux kernel that runs below 1 MiB").into());
    }
    if header.version < VERSION_64BIT {
        return Err(Unusable::Old { version: header.version }.into());
    }
    if u32::from(header.xloadflags) & XLF_KERNEL_64 == 0 {
        return Err(Unusable::Foreign("a 32-bit Linux kernel; an x86-64 one is needed").into());
    }
    Ok(())
}

fn damaged(what: &'static str) -> ParseError {
    Unusable::Damaged { format: FORMAT, what }.into()
}
