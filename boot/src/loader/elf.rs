//! ELF files, 32 and 64 bits.
//!
//! Source: System V ABI, "Object Files" and "Program Loading".

use vmm_core::arch::x86_64::layout;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::error::{ParseError, Unusable};
use super::image::{Image, Protocol, Segment};
use super::notes::{NOTES_LIMIT, Notes};
use super::source::Source;
use super::{foreign, multiboot};

const FORMAT: &str = "ELF file";
pub(super) const MAGIC: &[u8] = b"\x7fELF";
/// Program headers of a kernel are some ten; more than this is not read.
const SEGMENTS_LIMIT: u16 = 256;
/// Command line of x86 Linux, `COMMAND_LINE_SIZE` less its NUL.
const LINUX_CMDLINE: usize = 2047;
/// Command line of others: what the address map has room for, less its NUL.
const CMDLINE: usize = 0xffff;
const _: () = assert!(layout::CMDLINE_CAPACITY == 0x1_0000, "CMDLINE is one less");

const ELFCLASS32: u8 = 1;
pub(super) const ELFCLASS64: u8 = 2;
pub(super) const ELFDATA2LSB: u8 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PF_X: u32 = 1;

/// What every file begins with.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Identity {
    pub(super) magic: [u8; 4],
    pub(super) class: u8,
    pub(super) data: u8,
    rest: [u8; 10],
    kind: U16,
    machine: U16,
    version: U32,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header32 {
    identity: Identity,
    entry: U32,
    phoff: U32,
    shoff: U32,
    flags: U32,
    ehsize: U16,
    phentsize: U16,
    phnum: U16,
}

/// The file header of 64 bits, to the number of program headers.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header64 {
    pub(super) identity: Identity,
    entry: U64,
    phoff: U64,
    pub(super) shoff: U64,
    flags: U32,
    ehsize: U16,
    phentsize: U16,
    phnum: U16,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Phdr32 {
    kind: U32,
    offset: U32,
    vaddr: U32,
    paddr: U32,
    filesz: U32,
    memsz: U32,
    flags: U32,
    align: U32,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Phdr64 {
    kind: U32,
    flags: U32,
    offset: U64,
    vaddr: U64,
    paddr: U64,
    filesz: U64,
    memsz: U64,
    align: U64,
}

/// A program header of either class.
#[derive(Clone, Copy)]
struct Phdr {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

impl From<Phdr32> for Phdr {
    fn from(p: Phdr32) -> Self {
        Self {
            kind: p.kind.get(),
            flags: p.flags.get(),
            offset: p.offset.get().into(),
            vaddr: p.vaddr.get().into(),
            paddr: p.paddr.get().into(),
            filesz: p.filesz.get().into(),
            memsz: p.memsz.get().into(),
            align: p.align.get().into(),
        }
    }
}

impl From<Phdr64> for Phdr {
    fn from(p: Phdr64) -> Self {
        Self {
            kind: p.kind.get(),
            flags: p.flags.get(),
            offset: p.offset.get(),
            vaddr: p.vaddr.get(),
            paddr: p.paddr.get(),
            filesz: p.filesz.get(),
            memsz: p.memsz.get(),
            align: p.align.get(),
        }
    }
}

/// What the file header of either class says.
struct Header {
    wide: bool,
    kind: u16,
    entry: u64,
    phoff: u64,
    phentsize: u16,
    phnum: u16,
}

pub(super) fn recognise(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Bytes of a program's file up to the last that is loaded into memory; what
/// follows is for debuggers and linkers.
pub(super) fn loaded_size(source: &Source<'_>) -> Result<u64, ParseError> {
    let head = source.up_to(0, size_of::<Header64>())?;
    let phdrs = program_headers(source, &file_header(source, &head)?)?;
    let loaded = phdrs.iter().filter(|phdr| phdr.kind == PT_LOAD);
    let end = loaded.map(|phdr| phdr.offset.saturating_add(phdr.filesz)).max().unwrap_or(0);
    source.check(FORMAT, 0, end)?;
    Ok(end)
}

/// Decides between the protocols: PVH if there is a note, Multiboot if there
/// is a header, else the 64-bit entry.
///
/// Linux has both PVH and the 64-bit entry, and is entered by the latter: PVH
/// has no place for a seed of its random numbers.
pub(super) fn parse(source: &Source<'_>, head: &[u8]) -> Result<Image, ParseError> {
    let header = file_header(source, head)?;
    let phdrs = program_headers(source, &header)?;
    let notes = notes(source, &phdrs)?;
    if let Some(entry) = notes.pvh_entry {
        if u32::try_from(entry).is_err() {
            return Err(damaged("its PVH entry lies above 4 GiB"));
        }
        if notes.linux
            && let Some(entry) = linux_entry(&header, &phdrs)
        {
            return image(source, &phdrs, entry, Protocol::Linux64, true);
        }
        return image(source, &phdrs, entry, Protocol::Pvh, notes.linux);
    }
    if let Some(multiboot) = multiboot::Header::find(head) {
        if multiboot.has_addresses() {
            return multiboot::parse_flat(source, &multiboot);
        }
        multiboot.check()?;
        let entry = physical_entry(&header, &phdrs);
        if u32::try_from(entry).is_err() {
            return Err(damaged("its Multiboot entry lies above 4 GiB"));
        }
        return image(source, &phdrs, entry, Protocol::Multiboot, false);
    }
    if let Some(what) = no_kernel(&header, &phdrs, &notes, head) {
        return Err(Unusable::Foreign(what).into());
    }
    image(source, &phdrs, physical_entry(&header, &phdrs), Protocol::Linux64, notes.linux)
}

fn file_header(source: &Source<'_>, head: &[u8]) -> Result<Header, ParseError> {
    let truncated = |needed: usize| {
        let needed = u64::try_from(needed).expect("a header is short");
        Unusable::Truncated { format: FORMAT, needed, size: source.size }
    };
    let (identity, _) =
        Identity::read_from_prefix(head).map_err(|_| truncated(size_of::<Identity>()))?;
    if identity.data != ELFDATA2LSB {
        return Err(Unusable::Foreign("a big-endian ELF file, not one for x86-64").into());
    }
    let machine = identity.machine.get();
    if machine != EM_386 && machine != EM_X86_64 {
        return Err(Unusable::Machine { machine, name: foreign::machine(machine) }.into());
    }
    let kind = identity.kind.get();
    match identity.class {
        ELFCLASS32 => {
            let (h, _) =
                Header32::read_from_prefix(head).map_err(|_| truncated(size_of::<Header32>()))?;
            Ok(Header {
                wide: false,
                kind,
                entry: h.entry.get().into(),
                phoff: h.phoff.get().into(),
                phentsize: h.phentsize.get(),
                phnum: h.phnum.get(),
            })
        }
        ELFCLASS64 => {
            let (h, _) =
                Header64::read_from_prefix(head).map_err(|_| truncated(size_of::<Header64>()))?;
            Ok(Header {
                wide: true,
                kind,
                entry: h.entry.get(),
                phoff: h.phoff.get(),
                phentsize: h.phentsize.get(),
                phnum: h.phnum.get(),
            })
        }
        _ => Err(damaged("it is neither of 32 nor of 64 bits")),
    }
}

fn program_headers(source: &Source<'_>, header: &Header) -> Result<Vec<Phdr>, ParseError> {
    let stride = if header.wide { size_of::<Phdr64>() } else { size_of::<Phdr32>() };
    if header.phnum == 0 {
        return Ok(Vec::new());
    }
    if header.phnum > SEGMENTS_LIMIT {
        return Err(damaged("it has more than 256 program headers"));
    }
    if usize::from(header.phentsize) != stride {
        return Err(damaged("its program headers have the wrong size"));
    }
    let table = source.exact(FORMAT, header.phoff, usize::from(header.phnum) * stride)?;
    let read = |bytes: &[u8]| {
        if header.wide {
            Phdr64::read_from_bytes(bytes).map(Phdr::from).ok()
        } else {
            Phdr32::read_from_bytes(bytes).map(Phdr::from).ok()
        }
    };
    Ok(table.chunks_exact(stride).filter_map(read).collect())
}

fn notes(source: &Source<'_>, phdrs: &[Phdr]) -> Result<Notes, ParseError> {
    let mut notes = Notes::default();
    let mut left = NOTES_LIMIT;
    for phdr in phdrs.iter().filter(|phdr| phdr.kind == PT_NOTE) {
        source.check(FORMAT, phdr.offset, phdr.filesz)?;
        let size = usize::try_from(phdr.filesz).unwrap_or(usize::MAX).min(left);
        notes.read(&source.up_to(phdr.offset, size)?, phdr.align);
        left -= size;
    }
    Ok(notes)
}

/// What a file is that has no boot header, if that is nothing to enter at
/// its 64-bit entry.
fn no_kernel(header: &Header, phdrs: &[Phdr], notes: &Notes, head: &[u8]) -> Option<&'static str> {
    let interpreted = phdrs.iter().any(|phdr| phdr.kind == PT_INTERP);
    match header.kind {
        _ if multiboot::is_version_2(head) => {
            Some("a Multiboot 2 image; Multiboot 1, PVH and Linux kernels are taken here")
        }
        1 => Some("an object file (.o), not yet linked into a kernel"),
        4 => Some("a core dump"),
        ET_EXEC | ET_DYN if interpreted || notes.program => Some("a Linux program, not a kernel"),
        ET_DYN => Some("a shared object or a position-independent program, not a kernel"),
        ET_EXEC if !header.wide => {
            Some("a 32-bit ELF file without a Multiboot header or a PVH note")
        }
        ET_EXEC => None,
        _ => Some("an ELF file, but no executable one"),
    }
}

/// Whether `address` lies in the segment, which starts at `start`, and the
/// segment is code.
fn is_code(phdr: &Phdr, start: u64, address: u64) -> bool {
    phdr.kind == PT_LOAD
        && phdr.flags & PF_X != 0
        && address.checked_sub(start).is_some_and(|offset| offset < phdr.memsz)
}

/// The entry point as a physical address: some linkers write the virtual one.
fn physical_entry(header: &Header, phdrs: &[Phdr]) -> u64 {
    match phdrs.iter().find(|phdr| is_code(phdr, phdr.vaddr, header.entry)) {
        Some(phdr) => (header.entry - phdr.vaddr).wrapping_add(phdr.paddr),
        None => header.entry,
    }
}

/// The 64-bit entry of a Linux kernel that has another besides, if its file
/// header names one.
fn linux_entry(header: &Header, phdrs: &[Phdr]) -> Option<u64> {
    let entry = physical_entry(header, phdrs);
    let is_entered = phdrs.iter().any(|phdr| is_code(phdr, phdr.paddr, entry));
    (header.wide && header.kind == ET_EXEC && is_entered).then_some(entry)
}

fn image(
    source: &Source<'_>,
    phdrs: &[Phdr],
    entry: u64,
    protocol: Protocol,
    linux: bool,
) -> Result<Image, ParseError> {
    let mut segments = Vec::with_capacity(phdrs.len());
    for phdr in phdrs.iter().filter(|phdr| phdr.kind == PT_LOAD && phdr.memsz != 0) {
        source.check(FORMAT, phdr.offset, phdr.filesz)?;
        if phdr.filesz > phdr.memsz {
            return Err(damaged("a segment is larger in the file than in memory"));
        }
        if phdr.paddr.checked_add(phdr.memsz).is_none() {
            return Err(damaged("a segment wraps around the address space"));
        }
        segments.push(Segment {
            offset: phdr.offset,
            file_size: phdr.filesz,
            address: phdr.paddr,
            memory_size: phdr.memsz,
        });
    }
    if segments.is_empty() {
        return Err(damaged("there is nothing in it to load"));
    }
    if !segments.iter().any(|segment| (segment.address..segment.end()).contains(&entry)) {
        return Err(damaged("its entry point lies outside of all that is loaded"));
    }
    // Only Linux has the 64-bit entry with boot_params.
    let linux_limit = linux || matches!(protocol, Protocol::Linux64);
    let cmdline_limit = if linux_limit { LINUX_CMDLINE } else { CMDLINE };
    Ok(Image { protocol, segments, entry, cmdline_limit, linux })
}

fn damaged(what: &'static str) -> ParseError {
    Unusable::Damaged { format: FORMAT, what }.into()
}
