use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::error::{KernelError, Unusable};
use super::image::{Image, parse};
use super::source::Source;
use crate::linux::{self, CmdlineError};

/// A kernel file that can be booted, as far as the file alone tells.
#[derive(Debug)]
pub struct Kernel {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) image: Image,
}

/// What a kernel file is, and so how it is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelKind {
    /// Linux bzImage: 64-bit entry, the kernel unpacks itself.
    BzImage,
    /// ELF with a PVH note: 32-bit entry.
    ElfPvh,
    /// ELF without: 64-bit entry.
    Elf64,
    /// Multiboot 1 image, ELF or flat: 32-bit entry.
    Multiboot,
}

impl fmt::Display for KernelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BzImage => "bzImage",
            Self::ElfPvh => "ELF with PVH entry",
            Self::Elf64 => "ELF with 64-bit entry",
            Self::Multiboot => "Multiboot image",
        })
    }
}

impl Kernel {
    /// Opens `path` and finds out what it is. Reads headers only.
    ///
    /// # Errors
    /// [`KernelError`] names the path and what was found there instead of a
    /// kernel.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KernelError> {
        let path = path.into();
        // Before opening, which would wait for the other end of a pipe.
        let metadata = fs::metadata(&path).map_err(|source| KernelError::open(&path, source))?;
        if let Some(what) = irregular(metadata.file_type()) {
            return Err(KernelError::unusable(&path, Unusable::NotAFile(what)));
        }
        let file = File::open(&path).map_err(|source| KernelError::open(&path, source))?;
        let size = file.metadata().map_err(|source| KernelError::open(&path, source))?.len();
        let image = parse(&Source::file(&file, size))
            .map_err(|error| KernelError::from_parse(&path, error))?;
        Ok(Self { path, file, image })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file is.
    pub fn kind(&self) -> KernelKind {
        self.image.kind()
    }

    /// Whether this is a Linux kernel for certain: a bzImage, or an ELF file
    /// whose notes say so.
    pub fn is_linux(&self) -> bool {
        self.image.linux
    }

    /// Longest command line that the kernel takes whole, in bytes, without
    /// the NUL.
    pub fn cmdline_limit(&self) -> usize {
        self.image.cmdline_limit
    }

    /// Checks that the kernel would take this command line whole, as
    /// [`load`](crate::load) does, but before anything else is done.
    ///
    /// # Errors
    /// [`CmdlineError`] says why not.
    pub fn check_cmdline(&self, line: &str) -> Result<(), CmdlineError> {
        linux::check_cmdline(line, self.image.cmdline_limit)
    }
}

/// What a path leads to if it is no regular file.
pub(crate) fn irregular(kind: fs::FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("directory")
    } else if kind.is_block_device() {
        Some("block device")
    } else if kind.is_char_device() {
        Some("character device")
    } else if kind.is_fifo() {
        Some("pipe")
    } else {
        Some("socket")
    }
}
