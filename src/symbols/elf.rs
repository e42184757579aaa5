use std::fs::File;

use object::read::ReadCache;
use object::{Object, ObjectSymbol, SymbolKind};

/// How an ELF file begins.
pub(super) const MAGIC: [u8; 4] = *b"\x7fELF";

/// More symbols than any kernel has are not read.
const LIMIT: usize = 4 << 20;

/// The symbols of code in an ELF file; `None` if it cannot be understood.
/// Only the tables are read, however large the file is.
pub(super) fn read(file: File) -> Option<Vec<(u64, Box<str>)>> {
    let cache = ReadCache::new(file);
    let elf = object::File::parse(&cache).ok()?;
    let is_code = |kind| matches!(kind, SymbolKind::Text | SymbolKind::Unknown);
    let symbols = elf
        .symbols()
        .take(LIMIT)
        .filter(|symbol| symbol.is_definition() && is_code(symbol.kind()) && symbol.address() != 0);
    let named = symbols.filter_map(|symbol| {
        let name = symbol.name().ok().filter(|name| !name.is_empty())?;
        Some((symbol.address(), name.into()))
    });
    Some(named.collect())
}
