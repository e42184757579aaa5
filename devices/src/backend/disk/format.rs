use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::qcow2::MAGIC;
use super::{DiskError, DiskImage, OpenOptions, Qcow2Disk, RawDisk};

/// What an image file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The disk's contents and nothing else.
    Raw,
    /// QEMU's format, version 2 or 3.
    Qcow2,
}

impl Format {
    /// The format of the file at `path`: raw, unless its name ends in `.qcow2`
    /// and its header says so too. A guest can write any header into a raw
    /// disk, so a header alone says nothing.
    ///
    /// # Errors
    /// If only the name says qcow2, or the host said so.
    pub fn of(path: &Path) -> Result<Self, DiskError> {
        let is_named = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("qcow2"));
        // To open a pipe or a device has effects of its own.
        if !path.is_file() {
            return Ok(Self::Raw);
        }
        let has_header = match has_magic(path) {
            Ok(has) => has,
            Err(_) if !is_named => false,
            Err(source) => {
                return Err(DiskError::Host { path: path.to_owned(), what: "read", source });
            }
        };
        match (is_named, has_header) {
            (true, true) => Ok(Self::Qcow2),
            (true, false) => Err(DiskError::Misnamed { path: path.to_owned() }),
            (false, true) => {
                log::warn!(
                    "disk image {} has a qcow2 header, but is used as a raw disk: \
                     neither its name nor `format=qcow2` says that it is qcow2",
                    path.display()
                );
                Ok(Self::Raw)
            }
            (false, false) => Ok(Self::Raw),
        }
    }
}

fn has_magic(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

/// Opens and locks the image at `path`, of the `format` that was given or that
/// it has ([`Format::of`]). It is never looked at again.
///
/// # Errors
/// [`DiskError`], a sentence that names the path and the remedy.
pub fn open(
    path: &Path,
    format: Option<Format>,
    options: OpenOptions,
) -> Result<Arc<dyn DiskImage>, DiskError> {
    Ok(match format.map_or_else(|| Format::of(path), Ok)? {
        Format::Raw => Arc::new(RawDisk::open(path, options)?),
        Format::Qcow2 => Arc::new(Qcow2Disk::open(path, options)?),
    })
}
