use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imago::FormatAccess;
use imago::qcow2::Qcow2;
use imago::raw::Raw;
use vmm_core::sys::{ImageFile, Stored};

use super::host::HostFile;
use super::ordered::{Ordered, SyncFile};
use super::part::Part;
use super::{BackingError, Header, Qcow2Error};
use crate::backend::disk::{CacheMode, DiskError, OpenOptions};

/// The most backing files behind one another.
pub(super) const MAX_BACKING_FILES: usize = 16;

/// A page of the host's cache, in bytes.
const PAGE_SIZE: u64 = 4096;

/// An image in front of its backing files, as the format's library sees it.
pub(super) type Access = FormatAccess<Stored<Part<HostFile>>>;

/// The files of an image, the image first and each backing file after the one
/// that names it.
pub(super) struct Chain {
    layers: Vec<Layer>,
}

struct Layer {
    path: PathBuf,
    file: Arc<HostFile>,
    /// `None` if it is raw.
    header: Option<Header>,
}

/// An image put together.
pub(super) struct Opened {
    pub(super) access: Access,
    pub(super) header: Header,
    pub(super) file: Arc<HostFile>,
    /// The file again if the image is written.
    pub(super) metadata: Option<Arc<Ordered<Arc<HostFile>>>>,
}

impl Chain {
    /// Opens and locks the image at `path` and everything behind it; that is
    /// only read.
    pub(super) fn open(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let front = Layer::qcow2(path, options)?;
        if !options.read_only && front.header.as_ref().is_some_and(|header| header.has_bitmaps) {
            return Err(refused(path, Qcow2Error::Bitmaps));
        }
        let mut chain = Self { layers: vec![front] };
        if !options.read_only && options.cache == CacheMode::Direct && chain.has_small_clusters() {
            return Err(refused(path, Qcow2Error::SmallClusters));
        }
        while chain.add_backing(path, options)? {}
        Ok(chain)
    }

    /// Whether a page of the host's cache may hold metadata beside data, which
    /// is written past the cache.
    fn has_small_clusters(&self) -> bool {
        let header = self.layers.first().and_then(|front| front.header.as_ref());
        header.is_some_and(|header| header.cluster_size() < PAGE_SIZE)
    }

    /// What transfers from and to all files must be aligned to; 1 if to nothing.
    pub(super) fn align(&self) -> u32 {
        self.layers.iter().map(|layer| layer.file.align()).max().unwrap_or(1)
    }

    /// Adds what the last layer is the changes to; false if nothing.
    fn add_backing(&mut self, image: &Path, options: OpenOptions) -> Result<bool, DiskError> {
        let last = self.layers.last().expect("the image is the first layer");
        let Some(backing) = last.header.as_ref().and_then(|header| header.backing.as_ref()) else {
            return Ok(false);
        };
        if self.layers.len() > MAX_BACKING_FILES {
            return Err(refused(image, Qcow2Error::Depth));
        }
        let path = backing_path(&last.path, &backing.name)?;
        let options = OpenOptions { read_only: true, ..options };
        if self.has(&path) {
            return Err(refused(&last.path, Qcow2Error::Cycle));
        }
        let open = match backing.format.as_deref() {
            Some("qcow2") => Layer::qcow2,
            Some("raw") => Layer::raw,
            Some(other) => {
                return Err(refused(&last.path, Qcow2Error::BackingFormat(other.into())));
            }
            None => {
                let reason = Qcow2Error::NoBackingFormat(backing.name.clone());
                return Err(refused(&last.path, reason));
            }
        };
        let image = last.path.clone();
        let layer = open(&path, options).map_err(|error| BackingError {
            image,
            path,
            source: Box::new(error),
        })?;
        self.layers.push(layer);
        Ok(true)
    }

    /// Whether the file at `path` is in the chain.
    fn has(&self, path: &Path) -> bool {
        let identity = fs::metadata(path).map(|file| (file.dev(), file.ino()));
        identity.is_ok_and(|id| self.layers.iter().any(|layer| layer.file.identity() == id))
    }

    /// Puts the layers together.
    pub(super) fn build(self, read_only: bool) -> Result<Opened, DiskError> {
        let mut layers = self.layers.into_iter();
        let front = layers.next().expect("the image is the first layer");
        let mut backing = None;
        for layer in layers.rev() {
            let below = backing.take();
            backing = Some(layer.access(below).map_err(|error| unreadable(&layer.path, &error))?);
        }
        front.front(backing, read_only).map_err(|error| unreadable(&front.path, &error))
    }
}

impl Layer {
    fn raw(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let file = Arc::new(HostFile::open(path, options)?);
        Ok(Self { path: path.to_owned(), file, header: None })
    }

    fn qcow2(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let layer = Self::raw(path, options)?;
        let host = |source| DiskError::Host { path: path.to_owned(), what: "read", source };
        let header = read_header(&layer.file).map_err(host)?;
        let header = Some(header.map_err(|reason| refused(path, reason))?);
        Ok(Self { header, ..layer })
    }

    /// A layer that is only read.
    fn access(&self, backing: Option<Access>) -> io::Result<Access> {
        let file = Stored::new(Part::Data(Arc::clone(&self.file)));
        if self.header.is_none() {
            return Ok(FormatAccess::new(Raw::open_image(file, false)?));
        }
        let mut image = Qcow2::<Stored<Part<HostFile>>>::open_image(file, false)?;
        image.set_backing(backing);
        Ok(FormatAccess::new(image))
    }

    /// The first layer.
    fn front(&self, backing: Option<Access>, read_only: bool) -> io::Result<Opened> {
        let header = self.header.clone().expect("the first layer is qcow2");
        let file = Arc::clone(&self.file);
        if read_only {
            let access = self.access(backing)?;
            return Ok(Opened { access, header, file, metadata: None });
        }
        let (access, metadata) = writable(&file, &header, backing)?;
        Ok(Opened { access, header, file, metadata: Some(metadata) })
    }
}

/// An image in `file` that is written, in front of `backing`, and the file again
/// as it is used for metadata.
#[expect(clippy::type_complexity, reason = "it is taken apart at once")]
pub(super) fn writable<F: SyncFile>(
    file: &Arc<F>,
    header: &Header,
    backing: Option<FormatAccess<Stored<Part<F>>>>,
) -> io::Result<(FormatAccess<Stored<Part<F>>>, Arc<Ordered<Arc<F>>>)> {
    let metadata = Arc::new(Ordered::new(Arc::clone(file), header)?);
    let part = Stored::new(Part::Metadata(Arc::clone(&metadata)));
    let mut image = Qcow2::<Stored<Part<F>>>::open_image(part, true)?;
    // The same file, but its data is in no order with the metadata.
    image.set_data_file(Some(Stored::new(Part::Data(Arc::clone(file)))));
    image.set_backing(backing);
    Ok((FormatAccess::new(image), metadata))
}

fn read_header(file: &Arc<HostFile>) -> io::Result<Result<Header, Qcow2Error>> {
    let size = file.size()?;
    let bounded = |len: usize| usize::try_from(size).unwrap_or(len).min(len);
    let mut start = vec![0; bounded(512)];
    file.read(&mut start, 0)?;
    let mut cluster = vec![0; bounded(Header::wanted(&start))];
    file.read(&mut cluster, 0)?;
    Ok(Header::parse(&cluster, size))
}

/// The file that an image's header calls `name`: relative to the directory that
/// the image is in.
fn backing_path(image: &Path, name: &str) -> Result<PathBuf, DiskError> {
    // As QEMU reads it: `nbd://…`, `json:{…}`, `file:…` are no paths.
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| !scheme.contains('/')) || name.contains('\0') {
        return Err(refused(image, Qcow2Error::BackingPath(name.escape_debug().to_string())));
    }
    Ok(image.parent().unwrap_or(Path::new("")).join(name))
}

fn refused(path: &Path, reason: Qcow2Error) -> DiskError {
    DiskError::Qcow2 { path: path.to_owned(), reason }
}

fn unreadable(path: &Path, error: &io::Error) -> DiskError {
    refused(path, Qcow2Error::Unreadable(error.to_string()))
}
