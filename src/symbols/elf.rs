use std::fs::File;

use object::elf::{FileHeader32, FileHeader64, SHT_SYMTAB, STT_FUNC, STT_NOTYPE};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::read::{ReadCache, StringTable};
use object::{Endianness, FileKind};

/// How an ELF file begins.
pub(super) const MAGIC: [u8; 4] = *b"\x7fELF";

/// More symbols than any kernel has are not read.
const LIMIT: usize = 4 << 20;

/// The symbols of code in an ELF file; `None` if it cannot be understood.
/// Only the tables are read, however large the file is.
pub(super) fn read(file: File) -> Option<Vec<(u64, Box<str>)>> {
    let cache = ReadCache::new(file);
    match FileKind::parse(&cache).ok()? {
        FileKind::Elf32 => code::<FileHeader32<Endianness>>(&cache),
        FileKind::Elf64 => code::<FileHeader64<Endianness>>(&cache),
        _ => None,
    }
}

fn code<Header: FileHeader<Endian = Endianness>>(
    file: &ReadCache<File>,
) -> Option<Vec<(u64, Box<str>)>> {
    let header = Header::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, file).ok()?;
    let symbols = sections.symbols(endian, file, SHT_SYMTAB).ok()?;
    // All of them at once: else each takes two system calls.
    let names = sections.section(symbols.string_section()).ok()?.data(endian, file).ok()?;
    let names = StringTable::new(names, 0, u64::try_from(names.len()).ok()?);
    let is_code = |symbol: &&Header::Sym| {
        matches!(symbol.st_type(), STT_FUNC | STT_NOTYPE) && symbol.is_definition(endian, names)
    };
    let named = symbols.iter().take(LIMIT).filter(is_code).filter_map(|symbol| {
        let address = symbol.st_value(endian).into();
        let name = str::from_utf8(symbol.name(endian, names).ok()?).ok()?;
        (address != 0 && !name.is_empty()).then(|| (address, name.into()))
    });
    Some(named.collect())
}
