use vmm_core::arch::x86_64::layout;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::loader::error::{ParseError, Unusable};
use crate::loader::image::{Image, Protocol, Segment};
use crate::loader::source::Source;

const FORMAT: &str = "Multiboot image";
const MAGIC: u32 = 0x1bad_b002;
const MAGIC_2: u32 = 0xe852_50d6;
/// Bits 0 to 15 are demands. We meet the page alignment of modules and the
/// memory map, and the wish for a video mode may go unanswered (§3.1.4).
const KNOWN_DEMANDS: u32 = 0b111;
const DEMANDS: u32 = 0xffff;
/// Bit 16: the address fields are valid, also in an ELF file (§3.1.3).
const HAS_ADDRESSES: u32 = 1 << 16;

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Fields {
    magic: U32,
    flags: U32,
    checksum: U32,
}

/// The address fields of the "a.out kludge".
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Addresses {
    header: U32,
    load: U32,
    load_end: U32,
    bss_end: U32,
    entry: U32,
}

/// A Multiboot header and where it stands in the file.
pub(in crate::loader) struct Header {
    offset: u64,
    flags: u32,
    addresses: Option<Addresses>,
}

impl Header {
    /// The header in the first 8192 bytes of an image, 4-byte aligned (§3.1).
    pub(in crate::loader) fn find(head: &[u8]) -> Option<Self> {
        (0..head.len()).step_by(4).find_map(|offset| Self::read(head, offset))
    }

    fn read(head: &[u8], offset: usize) -> Option<Self> {
        let (fields, rest) = Fields::read_from_prefix(&head[offset..]).ok()?;
        let sum = fields.magic.get().wrapping_add(fields.flags.get());
        if fields.magic != MAGIC || sum.wrapping_add(fields.checksum.get()) != 0 {
            return None;
        }
        let flags = fields.flags.get();
        let addresses = match flags & HAS_ADDRESSES {
            0 => None,
            _ => Some(Addresses::read_from_prefix(rest).ok()?.0),
        };
        Some(Self { offset: u64::try_from(offset).ok()?, flags, addresses })
    }

    /// Whether the header itself says where to load the file.
    pub(in crate::loader) fn has_addresses(&self) -> bool {
        self.addresses.is_some()
    }

    /// Refuses demands that we do not know: the kernel counts on them.
    pub(in crate::loader) fn check(&self) -> Result<(), Unusable> {
        match self.flags & DEMANDS & !KNOWN_DEMANDS {
            0 => Ok(()),
            _ => Err(Unusable::MultibootFlags(self.flags)),
        }
    }
}

/// Whether there is a Multiboot 2 header, which stands 8-byte aligned.
pub(in crate::loader) fn is_version_2(head: &[u8]) -> bool {
    head.chunks_exact(8).any(|bytes| bytes.starts_with(&MAGIC_2.to_le_bytes()))
}

/// An image whose header says where it is to be loaded (§3.1.3).
pub(in crate::loader) fn parse_flat(
    source: &Source<'_>,
    header: &Header,
) -> Result<Image, ParseError> {
    header.check()?;
    let Some(addresses) = header.addresses else {
        return Err(damaged("it is no ELF file, and its header has no load addresses"));
    };
    let segment = segment(source, header.offset, &addresses)?;
    let entry = u64::from(addresses.entry.get());
    if !(segment.address..segment.end()).contains(&entry) {
        return Err(damaged("its entry point lies outside of what is loaded"));
    }
    Ok(Image {
        protocol: Protocol::Multiboot,
        segments: vec![segment],
        entry,
        cmdline_limit: usize::try_from(layout::CMDLINE_CAPACITY - 1).unwrap_or(usize::MAX),
        linux: false,
    })
}

fn segment(source: &Source<'_>, at: u64, addresses: &Addresses) -> Result<Segment, ParseError> {
    let address = u64::from(addresses.load.get());
    let offset = u64::from(addresses.header.get())
        .checked_sub(address)
        .and_then(|into_image| at.checked_sub(into_image))
        .ok_or_else(|| damaged("its load address does not match where its header is"))?;
    let file_size = match addresses.load_end.get() {
        0 => source.size - offset,
        end => u64::from(end)
            .checked_sub(address)
            .ok_or_else(|| damaged("it ends before it starts"))?,
    };
    source.check(FORMAT, offset, file_size)?;
    let memory_size = match addresses.bss_end.get() {
        0 => file_size,
        end => u64::from(end)
            .checked_sub(address)
            .filter(|&size| size >= file_size)
            .ok_or_else(|| damaged("its BSS ends before its data"))?,
    };
    Ok(Segment { offset, file_size, address, memory_size })
}

fn damaged(what: &'static str) -> ParseError {
    Unusable::Damaged { format: FORMAT, what }.into()
}
