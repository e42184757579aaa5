use std::io;
use std::path::PathBuf;

use super::qcow2::{BackingError, Qcow2Error};

/// Why a disk image cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// Nothing has that name.
    #[error("disk image {path} does not exist")]
    Missing {
        /// The image.
        path: PathBuf,
    },
    /// It is neither a regular file nor a block device.
    #[error("disk image {path} is a {kind}; give a raw image file or a block device")]
    Kind {
        /// The image.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Reading is not permitted.
    #[error("disk image {path} cannot be read: permission denied; check its owner and mode")]
    Unreadable {
        /// The image.
        path: PathBuf,
    },
    /// Reading is permitted, writing is not.
    #[error("disk image {path} cannot be written; make it writable or add `,readonly`")]
    Unwritable {
        /// The image.
        path: PathBuf,
    },
    /// The size is no whole number of sectors.
    #[error(
        "disk image {path} is {size} bytes, not a multiple of {unit}; \
         `truncate -s %{unit} {path}` rounds it up"
    )]
    Ragged {
        /// The image.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// What its size must be a multiple of, in bytes.
        unit: u64,
    },
    /// It has larger sectors than guests are told of.
    #[error("disk {path} has sectors of {size} bytes; 512 to 4096 are supported")]
    Sectors {
        /// The device.
        path: PathBuf,
        /// Its sectors, in bytes.
        size: u32,
    },
    /// There is not one sector.
    #[error("disk image {path} is empty")]
    Empty {
        /// The image.
        path: PathBuf,
    },
    /// Another process uses it in a way that excludes this one.
    #[error("disk image {path} is in use by {holder}; share it only if all use `,readonly`")]
    InUse {
        /// The image.
        path: PathBuf,
        /// Who holds it, in words.
        holder: String,
    },
    /// Its filesystem cannot pass the page cache by.
    #[error(
        "disk image {path} lies where `cache=direct` is not supported; \
         use `cache=writeback` or move it to another filesystem"
    )]
    NoDirect {
        /// The image.
        path: PathBuf,
    },
    /// It is named like a qcow2 image, but is none.
    #[error(
        "disk image {path} is named like a qcow2 image, but has no qcow2 header; \
         `format=raw` takes it as it is"
    )]
    Misnamed {
        /// The image.
        path: PathBuf,
    },
    /// It cannot be used as qcow2.
    #[error("disk image {path} {reason}")]
    Qcow2 {
        /// The image.
        path: PathBuf,
        /// Why not.
        reason: Qcow2Error,
    },
    /// What is behind it cannot be used.
    #[error(transparent)]
    Backing(#[from] BackingError),
    /// Anything else that the host said.
    #[error("cannot {what} disk image {path}")]
    Host {
        /// The image.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
}
