use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};
use vmm_core::mem::GuestRam;

use crate::loader::irregular;

/// An initial RAM disk: a file, or [made](crate::initramfs::Initramfs) of
/// pieces.
#[derive(Debug)]
pub struct Initrd {
    path: PathBuf,
    pieces: Vec<Piece>,
    size: u64,
}

/// Bytes that follow each other in an initial RAM disk.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Made by us.
    Bytes(Vec<u8>),
    /// The first `size` bytes of a file.
    File { file: File, size: u64 },
}

impl Piece {
    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).expect("lengths have 64 bits here"),
            Self::File { size, .. } => *size,
        }
    }
}

/// Why an initrd cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitrdError {
    /// The host does not let us open it.
    #[error("cannot open initrd {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// It is no regular file.
    #[error("initrd {} is a {what}, not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// There is nothing in it.
    #[error("initrd {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be positioned.
    #[error("cannot read initrd {}", path.display())]
    Seek {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The file could not be copied: it changed, or the disk failed.
    #[error("cannot load initrd {}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: GuestMemoryError,
    },
}

impl Initrd {
    /// Opens `path`. Reads nothing yet: any bytes may be an initrd.
    ///
    /// # Errors
    /// [`InitrdError`] if it cannot be opened, is no regular file, or empty.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, InitrdError> {
        let path = path.into();
        let failed = |source| InitrdError::Open { path: path.clone(), source };
        // Before opening, which would wait for the other end of a pipe.
        let kind = fs::metadata(&path).map_err(failed)?.file_type();
        if let Some(what) = irregular(kind) {
            return Err(InitrdError::NotAFile { path, what });
        }
        let file = File::open(&path).map_err(failed)?;
        match file.metadata().map_err(failed)?.len() {
            0 => Err(InitrdError::Empty { path }),
            size => Ok(Self { path, pieces: vec![Piece::File { file, size }], size }),
        }
    }

    /// One of these pieces, which are not all empty; `name` is for messages.
    pub(crate) fn of(name: &str, pieces: Vec<Piece>) -> Self {
        let size = pieces.iter().map(Piece::size).sum();
        Self { path: name.into(), pieces, size }
    }

    /// The path it was opened by, or its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes, at least 1.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its file name, for protocols that name their modules.
    pub(crate) fn name(&self) -> &[u8] {
        self.path.file_name().map_or(b"", |name| name.as_encoded_bytes())
    }

    /// Copies it into guest memory from `address`.
    pub(crate) fn copy_to(&self, ram: &GuestRam, address: u64) -> Result<(), InitrdError> {
        let copy = |source| InitrdError::Copy { path: self.path.clone(), source };
        let mut address = address;
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    ram.write_slice(bytes, GuestAddress(address)).map_err(copy)?;
                }
                Piece::File { file, size } => {
                    let mut file = file;
                    file.seek(SeekFrom::Start(0))
                        .map_err(|source| InitrdError::Seek { path: self.path.clone(), source })?;
                    let size = usize::try_from(*size).expect("it fits into guest memory");
                    ram.read_exact_volatile_from(GuestAddress(address), &mut file, size)
                        .map_err(copy)?;
                }
            }
            address += piece.size();
        }
        Ok(())
    }
}
