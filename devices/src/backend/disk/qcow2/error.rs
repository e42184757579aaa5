use std::path::PathBuf;

use super::chain::MAX_BACKING_FILES;
use crate::backend::disk::DiskError;

/// Why a qcow2 image is refused: what follows the image's name in a sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Qcow2Error {
    /// It is something else.
    #[error("has no qcow2 header; it may be a raw image (`format=raw`)")]
    NotQcow2,
    /// A version of the format that is not known.
    #[error("is qcow2 version {0}; versions 2 and 3 can be used")]
    Version(u32),
    /// Its clusters are encrypted.
    #[error("is encrypted, which is not supported; `qemu-img convert` makes a plain copy of it")]
    Encrypted,
    /// Incompatible feature 0: its reference counts may be wrong.
    #[error("was not closed properly by whoever wrote it; `qemu-img check -r all` repairs it")]
    Dirty,
    /// Incompatible feature 1.
    #[error("is marked as corrupt; `qemu-img check -r all` may repair it")]
    Corrupt,
    /// Incompatible feature 2.
    #[error(
        "keeps its data in an external data file, which is not supported; \
         `qemu-img convert -O qcow2` makes one image of both"
    )]
    ExternalData,
    /// Incompatible feature 3: compressed, and not by deflate.
    #[error(
        "has the compression type zstd, which is not supported; \
         `qemu-img convert -O qcow2` makes an uncompressed copy of it"
    )]
    CompressionType,
    /// Incompatible feature 4: subclusters.
    #[error(
        "has extended L2 entries (subclusters), which are not supported; \
         `qemu-img convert -O qcow2` makes a copy without them"
    )]
    ExtendedL2,
    /// Another incompatible feature.
    #[error("has the incompatible feature {bit} ({name}), which is not supported")]
    Incompatible {
        /// Its bit.
        bit: u32,
        /// Its name, if the image says it.
        name: String,
    },
    /// Autoclear feature 0; writes would make the bitmaps useless.
    #[error(
        "has persistent bitmaps, which writing would spoil; \
         remove them with `qemu-img bitmap --remove`, or add `,readonly`"
    )]
    Bitmaps,
    /// Data would share pages of the host's cache with metadata.
    #[error(
        "has clusters of less than 4096 bytes, with which `cache=direct` is not supported; \
         use `cache=writeback`, or `qemu-img convert -O qcow2` makes a copy with larger ones"
    )]
    SmallClusters,
    /// The header does not say what the backing file is, and to guess is not
    /// safe: a guest can write whatever header it likes into a raw disk.
    #[error(
        "does not say which format its backing file '{0}' has; \
         `qemu-img rebase -u -F raw -b` or `-F qcow2 -b` and that name record it"
    )]
    NoBackingFormat(String),
    /// The backing file is of a format that is not known.
    #[error("has a backing file of format '{0}'; raw and qcow2 are supported")]
    BackingFormat(String),
    /// The backing file is somewhere else than in a file.
    #[error("has the backing file '{0}', which is not the path of a file")]
    BackingPath(String),
    /// The chain of backing files comes back to a file that is already in it.
    #[error("is a backing file of itself")]
    Cycle,
    /// The chain of backing files is too long.
    #[error("has more than {MAX_BACKING_FILES} backing files behind one another")]
    Depth,
    /// It says less of itself than it should, or what cannot be.
    #[error("has a damaged qcow2 header: {0}")]
    Damaged(&'static str),
    /// The image format's library does not take it.
    #[error("cannot be read as qcow2: {0}")]
    Unreadable(String),
}

/// A backing file that makes an image unusable.
#[derive(Debug, thiserror::Error)]
#[error("backing file {path} of disk image {image} cannot be used")]
pub struct BackingError {
    /// The image that is in front.
    pub image: PathBuf,
    /// The backing file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: Box<DiskError>,
}
