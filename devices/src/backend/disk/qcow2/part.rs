use std::io;
use std::sync::Arc;

use vmm_core::sys::ImageFile;

use super::ordered::{Ordered, SyncFile};

/// A file as an image format sees it.
#[derive(Debug)]
pub(super) enum Part<F> {
    /// Of an image that is written: its metadata.
    Metadata(Arc<Ordered<Arc<F>>>),
    /// All else.
    Data(Arc<F>),
}

impl<F: SyncFile> ImageFile for Part<F> {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Metadata(file) => file.size(),
            Self::Data(file) => file.size(),
        }
    }

    fn read(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Metadata(file) => file.read(to, offset),
            Self::Data(file) => file.read(to, offset),
        }
    }

    fn write(&self, from: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Metadata(file) => file.write(from, offset),
            Self::Data(file) => file.write(from, offset),
        }
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        match self {
            Self::Metadata(file) => file.zero(offset, len),
            Self::Data(file) => file.zero(offset, len),
        }
    }
}
