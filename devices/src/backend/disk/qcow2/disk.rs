use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imago::Mapping;
use vm_memory::VolatileSlice;
use vmm_core::sys;

use super::chain::{self, Chain};
use super::host::HostFile;
use super::ordered::Ordered;
use super::part::Part;
use crate::backend::disk::channel::persist;
use crate::backend::disk::{
    Access, CacheMode, DiskError, DiskImage, Gate, Geometry, OpenOptions, Place, Stable,
};

/// The most bytes that are read or written through memory of our own at once.
const BOUNCE: u64 = 256 << 10;

/// A qcow2 image in front of its backing files, all locked for as long as it
/// is open.
pub struct Qcow2Disk {
    access: chain::Access,
    file: Arc<HostFile>,
    metadata: Option<Arc<Ordered<Arc<HostFile>>>>,
    path: PathBuf,
    options: OpenOptions,
    geometry: Geometry,
    /// Whether zero clusters are known (version 3).
    has_zero_clusters: bool,
    /// Where no data can be: an image that says so is damaged, or made to have
    /// its guest write there.
    tables: [Range<u64>; 2],
    /// Held by whatever changes the metadata, one at a time.
    changes: Mutex<Changes>,
    /// Where a write may be smaller than what the host writes: what is around
    /// it is read and written again, and must not change meanwhile.
    gate: Option<Arc<Gate>>,
}

/// Whether there is metadata in memory that the file has not.
#[derive(Default)]
struct Changes {
    pending: bool,
}

impl Qcow2Disk {
    /// Opens and locks the image at `path` and its backing files.
    ///
    /// # Errors
    /// [`DiskError`], a sentence that names the path, what about the image is
    /// not supported, and the remedy.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, DiskError> {
        let chain = Chain::open(path, options)?;
        let align = chain.align();
        let chain::Opened { access, header, file, metadata } = chain.build(options.read_only)?;
        let has_discard = options.sparse && !options.read_only;
        let geometry = Geometry {
            size: header.size,
            block_size: 512,
            physical_block_size: align.max(file.block_size()),
            memory_align: align,
            discard_granularity: if has_discard { file.block_size() } else { 0 },
        };
        Ok(Self {
            access,
            file,
            metadata,
            path: path.to_owned(),
            options,
            geometry,
            has_zero_clusters: header.version >= 3,
            tables: [0..header.cluster_size(), header.l1_table],
            changes: Mutex::default(),
            gate: (align > 512).then(Arc::default),
        })
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the first of `len` bytes from `offset` on are, and how many are so.
    fn part(&self, offset: u64, len: u64) -> io::Result<(Lies<'_>, u64)> {
        let (mapping, len) = self.access.get_mapping(offset, len)?;
        let lies = match mapping {
            Mapping::Raw { storage, offset, writable, .. } => {
                let Part::Data(file) = storage.file() else { return Err(damaged()) };
                if Arc::ptr_eq(file, &self.file) && self.is_table(offset, len) {
                    return Err(damaged());
                }
                Lies::In { file, offset, is_writable: writable }
            }
            Mapping::Zero { .. } => Lies::Nowhere,
            Mapping::Special { .. } => Lies::Packed,
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        Ok((lies, len))
    }

    fn is_table(&self, offset: u64, len: u64) -> bool {
        let end = offset.saturating_add(len);
        self.tables.iter().any(|table| offset < table.end && table.start < end)
    }

    /// Reads up to [`BOUNCE`] of `len` bytes through memory of our own.
    fn read_bounced(
        &self,
        pieces: &[VolatileSlice<'_>],
        offset: u64,
        len: u64,
    ) -> io::Result<usize> {
        let mut bytes = vec![0; size(len.min(BOUNCE))];
        self.access.read(&mut bytes[..], offset)?;
        let mut rest = &bytes[..];
        for piece in pieces {
            let (here, after) = rest.split_at(piece.len().min(rest.len()));
            piece.copy_from(here);
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Writes the first `len` bytes where no cluster of the image's own is yet,
    /// or fewer if the new clusters are apart.
    fn write_new(&self, pieces: &[VolatileSlice<'_>], offset: u64, len: u64) -> io::Result<usize> {
        let mut changes = self.changes();
        changes.pending = true;
        let mapping = self.access.prepare_data_mapping(offset, len, true)?;
        let (at, len) = (mapping.offset(), mapping.length());
        if self.is_table(at, len) {
            return Err(damaged());
        }
        // The guest sees the clusters only once all of this is in them.
        let mut done = 0;
        while done < len {
            let rest = part_of(pieces, done, len - done);
            let moved = persist(|| sys::write_at(self.file.cached(), &rest, at + done))?;
            if moved == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            done += bytes(moved);
        }
        self.access.commit_data_mapping(mapping)?;
        Ok(size(len))
    }

    /// Makes `len` bytes zeros that do not lie in a cluster of the image's own.
    fn zero_new(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut changes = self.changes();
        changes.pending = true;
        if self.has_zero_clusters {
            return self.access.write_zeroes(offset, len);
        }
        let zeros = vec![0; size(len.min(BOUNCE))];
        let mut done = 0;
        while done < len {
            let here = &zeros[..size((len - done).min(BOUNCE))];
            self.access.write(here, offset + done)?;
            done += bytes(here.len());
        }
        Ok(())
    }
}

/// Where a part of the disk is.
enum Lies<'d> {
    /// In a file as it is.
    In { file: &'d Arc<HostFile>, offset: u64, is_writable: bool },
    /// In no file: zeros.
    Nowhere,
    /// Compressed.
    Packed,
}

impl DiskImage for Qcow2Disk {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn place(&self, offset: u64, len: u64, access: Access) -> io::Result<(Place<'_>, u64)> {
        let (lies, len) = self.part(offset, len)?;
        let (file, offset) = match (lies, access) {
            (Lies::In { file, offset, is_writable: true }, _)
            | (Lies::In { file, offset, .. }, Access::Read) => (file, offset),
            (Lies::Nowhere, Access::Read) => return Ok((Place::Zeros, len)),
            _ => return Ok((Place::Elsewhere, len)),
        };
        let inside = match access {
            Access::Read => file.within(offset, len)?,
            Access::Write => len,
        };
        let align = u64::from(file.align());
        let (before, whole) = (offset % align, inside - inside % align);
        if inside == 0 {
            return Ok((Place::Zeros, len));
        }
        if before == 0 && whole > 0 {
            return Ok((Place::File { file: file.transfers(), offset }, whole));
        }
        // To the end of the block that is not whole.
        let place = if access == Access::Write { Place::Alone } else { Place::Elsewhere };
        Ok((place, inside.min(align - before)))
    }

    /// Where something lies, it stays: see the module. The gate is for blocks
    /// that are not written whole.
    fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// Where all metadata is in the file, its `fdatasync` is all of a flush.
    fn stable(&self) -> Stable<'_> {
        let is_written = self.changes.try_lock().is_ok_and(|changes| !changes.pending);
        let has_order = self.metadata.as_ref().is_some_and(|metadata| metadata.is_settled());
        if is_written && has_order && self.options.cache != CacheMode::Unsafe {
            Stable::File(self.file.transfers())
        } else {
            Stable::Image
        }
    }

    fn read_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        let (lies, len) = self.part(offset, total(pieces))?;
        let pieces = part_of(pieces, 0, len);
        match lies {
            Lies::In { file, offset, .. } => match file.within(offset, len)? {
                0 => Ok(fill_zeros(&pieces)),
                inside => file.read_at(&part_of(&pieces, 0, inside), offset),
            },
            Lies::Nowhere => Ok(fill_zeros(&pieces)),
            Lies::Packed => self.read_bounced(&pieces, offset, len),
        }
    }

    fn write_at(&self, pieces: &[VolatileSlice<'_>], offset: u64) -> io::Result<usize> {
        match self.part(offset, total(pieces))? {
            (Lies::In { file, offset, is_writable: true }, len) => {
                file.write_at(&part_of(pieces, 0, len), offset)
            }
            (_, len) => self.write_new(pieces, offset, len),
        }
    }

    /// Metadata first, in its order; then one `fdatasync` makes all stable.
    fn flush(&self) -> io::Result<()> {
        let Some(metadata) = &self.metadata else { return Ok(()) };
        let mut changes = self.changes();
        if changes.pending {
            self.access.flush()?;
            changes.pending = false;
        }
        drop(changes);
        metadata.sync()
    }

    fn discard(&self, mut offset: u64, len: u64) -> io::Result<()> {
        let end = offset + len;
        while offset < end {
            let (lies, len) = self.part(offset, end - offset)?;
            if let Lies::In { file, offset, is_writable: true } = lies {
                file.discard(offset, len)?;
            }
            offset += len;
        }
        Ok(())
    }

    fn write_zeroes(&self, mut offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        let end = offset + len;
        while offset < end {
            let (lies, len) = self.part(offset, end - offset)?;
            match lies {
                Lies::In { file, offset, is_writable: true } => {
                    file.write_zeroes(offset, len, unmap)?;
                }
                Lies::Nowhere => {}
                Lies::In { .. } | Lies::Packed => self.zero_new(offset, len)?,
            }
            offset += len;
        }
        Ok(())
    }

    /// qcow2 images are not resized while they are in use.
    fn refresh(&self) -> io::Result<bool> {
        Ok(false)
    }
}

fn damaged() -> io::Error {
    io::Error::other("the image has data where its own tables are; `qemu-img check` says more")
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).expect("a usize has 64 bits here")
}

fn size(len: u64) -> usize {
    usize::try_from(len).expect("a usize has 64 bits here")
}

fn total(pieces: &[VolatileSlice<'_>]) -> u64 {
    pieces.iter().map(|piece| bytes(piece.len())).sum()
}

/// The `len` bytes of `pieces` from byte `skipped` on.
fn part_of<'m>(pieces: &[VolatileSlice<'m>], skipped: u64, len: u64) -> Vec<VolatileSlice<'m>> {
    let (mut skipped, mut len) = (size(skipped), size(len));
    let mut part = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let start = skipped.min(piece.len());
        let here = len.min(piece.len() - start);
        if here > 0 {
            part.push(piece.subslice(start, here).expect("it lies in the piece"));
        }
        skipped -= start;
        len -= here;
    }
    part
}

fn fill_zeros(pieces: &[VolatileSlice<'_>]) -> usize {
    for piece in pieces {
        piece.copy_from(&vec![0_u8; piece.len()][..]);
    }
    size(total(pieces))
}
