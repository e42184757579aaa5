use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use super::{elf, kallsyms, map};

/// Where Linux's 64-bit system calls go.
const SYSCALL_ENTRY: &str = "entry_SYSCALL_64";
/// Linux is placed in steps of at least this (`CONFIG_PHYSICAL_ALIGN`), ...
const PLACE_STEP: u64 = 2 << 20;
/// ... and at most this far away (`KERNEL_IMAGE_SIZE`).
const PLACE_RANGE: u64 = 1 << 30;
/// No function is longer: what lies further behind a symbol is not its.
const LONGEST: u64 = 1 << 20;

/// Why a file gives no symbols.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolError {
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// It has none.
    #[error(
        "{path} has no symbols: it is neither an ELF file with a symbol table nor a System.map"
    )]
    None {
        /// The file.
        path: PathBuf,
    },
}

/// Opens `path`; also says whether it is an ELF file.
fn open(path: &Path) -> Result<(File, bool), SymbolError> {
    let failed = |source| SymbolError::Read { path: path.to_owned(), source };
    let kind = fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        return Err(SymbolError::None { path: path.to_owned() });
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; elf::MAGIC.len()];
    let found = file.read(&mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok((file, magic[..found] == elf::MAGIC))
}

/// Names of code by address.
#[derive(Debug, Default)]
pub struct Symbols {
    /// By address.
    entries: Vec<(u64, Box<str>)>,
}

/// Where a kernel lies, compared with its symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// This much above them.
    At(u64),
    /// It has not come far enough to tell.
    Unknown,
    /// They are another kernel's.
    Foreign,
}

impl Symbols {
    /// Reads `path`.
    ///
    /// # Errors
    /// [`SymbolError`] if there are none in it.
    pub fn read(path: &Path) -> Result<Self, SymbolError> {
        let (file, is_elf) = open(path)?;
        let entries = if is_elf { elf::read(file) } else { map::read(file) };
        match entries {
            Some(entries) if !entries.is_empty() => Ok(Self::of(entries)),
            _ => Err(SymbolError::None { path: path.to_owned() }),
        }
    }

    /// Those that the kernel itself holds, whose bytes these are; `None` if
    /// there are none.
    pub fn of_kernel(contents: &[u8]) -> Option<Self> {
        kallsyms::read(contents).map(Self::of)
    }

    /// Finds out whether `path` can have any, without reading all of it.
    ///
    /// # Errors
    /// [`SymbolError`] if it has none.
    pub fn check(path: &Path) -> Result<(), SymbolError> {
        let (file, is_elf) = open(path)?;
        let is_map = || map::begins(file).unwrap_or(false);
        if is_elf || is_map() { Ok(()) } else { Err(SymbolError::None { path: path.to_owned() }) }
    }

    pub(super) fn of(mut entries: Vec<(u64, Box<str>)>) -> Self {
        entries.sort();
        Self { entries }
    }

    /// The symbol that `address` belongs to, and how far behind its start.
    pub fn lookup(&self, address: u64) -> Option<(&str, u64)> {
        let after = self.entries.partition_point(|(start, _)| *start <= address);
        let (start, _) = self.entries.get(after.checked_sub(1)?)?;
        // Of several names, the first: aliases follow in alphabetical order.
        let first = self.entries.partition_point(|(other, _)| other < start);
        let offset = address - start;
        (offset < LONGEST).then(|| (&*self.entries[first].1, offset))
    }

    /// Where `name` is.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.entries.iter().find(|(_, other)| **other == *name).map(|(address, _)| *address)
    }

    /// Where the kernel lies that runs, as a processor's `IA32_LSTAR` tells;
    /// it is 0 until Linux has set it. What is not Linux lies where its symbols
    /// are.
    pub fn base(&self, lstar: Option<u64>) -> Base {
        let Some(entry) = self.address(SYSCALL_ENTRY) else { return Base::At(0) };
        let Some(lstar) = lstar.filter(|lstar| *lstar != 0) else { return Base::Unknown };
        match lstar.checked_sub(entry) {
            Some(moved) if moved < PLACE_RANGE && moved.is_multiple_of(PLACE_STEP) => {
                Base::At(moved)
            }
            _ => Base::Foreign,
        }
    }
}
