//! The names of a kernel's code: from an ELF file with symbols, from the
//! `System.map` that a build of Linux leaves, or from the kernel's own tables.

mod elf;
mod find;
mod kallsyms;
mod map;
mod table;
#[cfg(test)]
mod tests;

pub use find::candidates;
pub use kallsyms::read as kallsyms;
pub use table::{Base, SymbolError, Symbols};
