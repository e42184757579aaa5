use std::io;
use std::path::{Path, PathBuf};

use vm_memory::GuestMemoryError;

use crate::linux::{CmdlineError, InitrdError};
use crate::size::{Size, memory_option};

/// Why a kernel file cannot be booted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The host does not let us open it.
    #[error("cannot open kernel {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The host does not let us read it.
    #[error("cannot read kernel {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// It is not a kernel, or not one that runs here.
    #[error("kernel {} {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: Unusable,
    },
}

/// What is wrong with a kernel file; reads on from the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// No regular file.
    #[error("is a {0}, not a file")]
    NotAFile(&'static str),
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// A file of another kind; the text says which and what to do.
    #[error("is {0}")]
    Foreign(&'static str),
    /// Nothing that we have ever seen.
    #[error("is no kernel in any format known here: its first bytes are {0:02x?}")]
    Unknown(Vec<u8>),
    /// Shorter than its own headers say.
    #[error("is truncated: its {format} headers call for {needed} bytes, the file has {size}")]
    Truncated {
        /// What the file is otherwise.
        format: &'static str,
        /// Bytes that its headers call for.
        needed: u64,
        /// Bytes that it has.
        size: u64,
    },
    /// An ELF file for other processors.
    #[error("is an ELF file for {name} (machine {machine}), not for x86-64")]
    Machine {
        /// `e_machine`.
        machine: u16,
        /// Its usual name.
        name: &'static str,
    },
    /// A Linux kernel from before the 64-bit entry.
    #[error(
        "is a Linux kernel of boot protocol {}.{:02}; 2.12 (Linux 3.8) or later is needed",
        version >> 8, version & 0xff
    )]
    Old {
        /// Protocol version as in the header: major in the high byte.
        version: u16,
    },
    /// A Multiboot kernel that wants what we do not have.
    #[error("is a Multiboot image that requires features unknown here (flags {0:#x})")]
    MultibootFlags(u32),
    /// Recognised, but its fields contradict each other.
    #[error("is a damaged {format}: {what}")]
    Damaged {
        /// What the file is.
        format: &'static str,
        /// Which contradiction.
        what: &'static str,
    },
}

/// Why [`super::image::parse`] gives up.
#[derive(Debug)]
pub(super) enum ParseError {
    Read(io::Error),
    Unusable(Unusable),
}

impl From<Unusable> for ParseError {
    fn from(why: Unusable) -> Self {
        Self::Unusable(why)
    }
}

impl From<ParseError> for io::Error {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Read(error) => error,
            ParseError::Unusable(why) => Self::new(io::ErrorKind::InvalidData, why.to_string()),
        }
    }
}

impl KernelError {
    pub(super) fn open(path: &Path, source: io::Error) -> Self {
        Self::Open { path: path.to_owned(), source }
    }

    pub(super) fn unusable(path: &Path, reason: Unusable) -> Self {
        Self::Unusable { path: path.to_owned(), reason }
    }

    pub(super) fn from_parse(path: &Path, error: ParseError) -> Self {
        match error {
            ParseError::Read(source) => Self::Read { path: path.to_owned(), source },
            ParseError::Unusable(reason) => Self::unusable(path, reason),
        }
    }
}

/// Why a guest cannot be given its kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The command line is no good for this kernel.
    #[error(transparent)]
    Cmdline(#[from] CmdlineError),
    /// An initrd cannot be read.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// The kernel's memory ends past the end of RAM.
    #[error(
        "kernel {} needs guest memory up to {} ({end:#x}), the guest has {} ({ram:#x}); \
         give it at least {}",
        path.display(), Size(*end), Size(*ram), memory_option(*end)
    )]
    KernelTooBig {
        /// The kernel.
        path: PathBuf,
        /// The address that it needs memory up to.
        end: u64,
        /// Where the guest's memory ends.
        ram: u64,
    },
    /// The kernel wants memory that no guest has, or that we use ourselves.
    #[error(
        "kernel {} is to be loaded at {address:#x}..{end:#x}, where this machine has no free memory",
        path.display()
    )]
    KernelMisplaced {
        /// The kernel.
        path: PathBuf,
        /// First address of the piece.
        address: u64,
        /// The address after its last.
        end: u64,
    },
    /// No room for the initrd; more memory helps.
    #[error(
        "the initrd ({}) does not fit into the {} of guest memory that the kernel leaves; \
         give the guest at least {}", Size(*size), Size(*room), memory_option(*needed)
    )]
    InitrdTooBig {
        /// Bytes of all the initrds.
        size: u64,
        /// Bytes that are free.
        room: u64,
        /// Bytes of guest memory that hold both.
        needed: u64,
    },
    /// No room for the initrd, and more memory does not help.
    #[error(
        "the initrd ({}) is too big: kernel {} takes one of at most {}",
        Size(*size), path.display(), Size(*room)
    )]
    InitrdLimit {
        /// The kernel.
        path: PathBuf,
        /// Bytes of all the initrds.
        size: u64,
        /// Bytes between the kernel and the highest address it allows.
        room: u64,
    },
    /// Too many initrds for the table of Multiboot modules.
    #[error("{count} initrds are too many for a Multiboot kernel")]
    Modules {
        /// How many were given.
        count: usize,
    },
    /// The file could not be copied: it changed, or the disk failed.
    #[error("cannot load kernel {}", path.display())]
    Copy {
        /// The kernel.
        path: PathBuf,
        /// What happened.
        source: GuestMemoryError,
    },
    /// The file could not be positioned.
    #[error("cannot read kernel {}", path.display())]
    Seek {
        /// The kernel.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// Guest memory has no room for what every guest is told at start.
    #[error("the guest has too little memory for its boot information")]
    BootInfo(#[from] GuestMemoryError),
}
