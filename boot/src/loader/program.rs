use std::fs::File;
use std::io::{self, ErrorKind};

use super::elf;
use super::error::ParseError;
use super::source::Source;

/// How many bytes of `file`, a program for x86-64, it takes to run it: up to
/// the last one that is loaded. What follows is for debuggers and linkers.
///
/// # Errors
/// What the host said; `InvalidData` if it is no whole ELF file.
pub fn loaded_size(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    elf::loaded_size(&Source::file(file, size)).map_err(|error| match error {
        ParseError::Read(error) => error,
        ParseError::Unusable(why) => io::Error::new(ErrorKind::InvalidData, why),
    })
}
