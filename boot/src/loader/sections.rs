//! Where in an ELF file what the kernel says of itself lies.
//!
//! Source: System V ABI, "Object Files", "Sections".

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::elf::{ELFCLASS64, ELFDATA2LSB, Header64, MAGIC};
use super::source::Source;

/// Linux has its banner and its options there (init/version-timestamp.c,
/// kernel/configs.c), and some tenth of what is loaded in all.
const NAME: &[u8] = b".rodata\0";

/// A kernel has some 70 sections; more than this are not read.
const SECTIONS_LIMIT: u16 = 1024;
/// The most bytes of their names.
const NAMES_LIMIT: usize = 64 << 10;

const SHT_PROGBITS: u32 = 1;

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    start: Header64,
    shentsize: U16,
    shnum: U16,
    shstrndx: U16,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Section {
    name: U32,
    kind: U32,
    flags: U64,
    addr: U64,
    offset: U64,
    size: U64,
    link: U32,
    info: U32,
    align: U64,
    entsize: U64,
}

/// A part of a file, which ends inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it starts.
    pub(super) offset: u64,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// The data of a 64-bit ELF file that is only read; `None` if it does not tell
/// where, or is no such file. Nothing else depends on the sections, so what is
/// wrong with them does not matter.
pub(super) fn read_only_data(source: &Source<'_>) -> Option<Part> {
    let header: Header = object(source, 0)?;
    let Header64 { identity, shoff, .. } = &header.start;
    let is_known = identity.magic == MAGIC
        && (identity.class, identity.data) == (ELFCLASS64, ELFDATA2LSB)
        && usize::from(header.shentsize.get()) == size_of::<Section>();
    let count = header.shnum.get().min(SECTIONS_LIMIT);
    let place = |number: u16| {
        let size = u64::from(header.shentsize.get());
        shoff.get().checked_add(size * u64::from(number))
    };
    if !is_known || count == 0 {
        return None;
    }
    let names: Section = object(source, place(header.shstrndx.get())?)?;
    let limit = usize::try_from(names.size.get()).unwrap_or(NAMES_LIMIT).min(NAMES_LIMIT);
    let names = source.up_to(names.offset.get(), limit).ok()?;
    let all = source.up_to(place(0)?, size_of::<Section>() * usize::from(count)).ok()?;
    let found = all.chunks_exact(size_of::<Section>()).find_map(|bytes| {
        let section = Section::read_from_bytes(bytes).ok()?;
        let name = names.get(usize::try_from(section.name.get()).ok()?..)?;
        (section.kind.get() == SHT_PROGBITS && name.starts_with(NAME)).then_some(section)
    })?;
    let (offset, size) = (found.offset.get(), found.size.get());
    let is_inside = offset.checked_add(size).is_some_and(|end| end <= source.size);
    is_inside.then_some(Part { offset, size })
}

/// What lies at `offset`.
fn object<T: FromBytes>(source: &Source<'_>, offset: u64) -> Option<T> {
    T::read_from_bytes(&source.up_to(offset, size_of::<T>()).ok()?).ok()
}
