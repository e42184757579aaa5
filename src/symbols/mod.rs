//! The names of a kernel's code: from an ELF file with symbols, or from the
//! `System.map` that a build of Linux leaves.

mod elf;
mod find;
mod map;
mod table;
#[cfg(test)]
mod tests;

pub use find::candidates;
pub use table::{Base, SymbolError, Symbols};
