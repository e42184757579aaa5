use std::ops::Range;

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::Qcow2Error;
use crate::virtio::spec::blk::SECTOR_SIZE;

/// `QFI\xfb`, the first bytes of every qcow2 image.
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// The largest L1 table, 32 MiB: QEMU's limit too.
const MAX_L1_BYTES: u64 = 32 << 20;
/// The largest refcount table, 8 MiB: QEMU's limit too.
pub(super) const MAX_REFCOUNT_TABLE: u64 = 8 << 20;
/// The longest name of a backing file.
const MAX_NAME: u32 = 1023;

const INCOMPATIBLE_DIRTY: u32 = 0;
const INCOMPATIBLE_CORRUPT: u32 = 1;
const INCOMPATIBLE_EXTERNAL_DATA: u32 = 2;
const INCOMPATIBLE_COMPRESSION: u32 = 3;
const INCOMPATIBLE_EXTENDED_L2: u32 = 4;
const AUTOCLEAR_BITMAPS: u64 = 1;

const EXTENSION_END: u32 = 0;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_FEATURE_NAMES: u32 = 0x6803_f857;

/// What both versions begin with.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Version2 {
    magic: [u8; 4],
    version: U32,
    backing_file_offset: U64,
    backing_file_size: U32,
    cluster_bits: U32,
    size: U64,
    crypt_method: U32,
    l1_size: U32,
    l1_table_offset: U64,
    refcount_table_offset: U64,
    refcount_table_clusters: U32,
    nb_snapshots: U32,
    snapshots_offset: U64,
}

/// What follows in version 3.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Version3 {
    incompatible_features: U64,
    compatible_features: U64,
    autoclear_features: U64,
    refcount_order: U32,
    header_length: U32,
}

/// One of the things that follow the header.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ExtensionHeader {
    kind: U32,
    length: U32,
}

/// An entry of the table of feature names.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FeatureName {
    kind: u8,
    bit: u8,
    name: [u8; 46],
}

/// The image that another one is the changes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Its name, as the header says it.
    pub name: String,
    /// Its format, if the header says it.
    pub format: Option<String>,
}

/// What a qcow2 header says, checked: an image that has one can be used (qcow2
/// specification, "Header"). Ranges are in bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// The disk's size in bytes: at least a sector, and whole sectors.
    pub size: u64,
    /// The size of a cluster is 2 to this power: 9 to 21.
    pub cluster_bits: u32,
    /// A reference count has 2 to this power bits: 0 to 6.
    pub refcount_order: u32,
    /// Where the active L1 table is.
    pub l1_table: Range<u64>,
    /// Where the refcount table is.
    pub refcount_table: Range<u64>,
    /// Whether there are persistent bitmaps in use.
    pub has_bitmaps: bool,
    /// The backing file, if there is one.
    pub backing: Option<Backing>,
}

impl Header {
    /// How much of a file [`Header::parse`] wants to see, given the first
    /// bytes of it.
    pub fn wanted(start: &[u8]) -> usize {
        let bits = Version2::ref_from_prefix(start).map_or(0, |(v2, _)| v2.cluster_bits.get());
        1 << bits.clamp(9, 21)
    }

    /// Reads the header of a file of `file_size` bytes from its first
    /// [`Header::wanted`] bytes `start`, or all of it if it is shorter.
    ///
    /// # Errors
    /// Why the image cannot be used.
    pub fn parse(start: &[u8], file_size: u64) -> Result<Self, Qcow2Error> {
        if !start.starts_with(&MAGIC) {
            return Err(Qcow2Error::NotQcow2);
        }
        let (v2, rest) = Version2::ref_from_prefix(start).map_err(|_| SHORT)?;
        let version = v2.version.get();
        let (v3, extensions) = match version {
            2 => (None, size_of::<Version2>()),
            3 => {
                let (v3, _) = Version3::ref_from_prefix(rest).map_err(|_| SHORT)?;
                (Some(v3), header_length(v3)?)
            }
            _ => return Err(Qcow2Error::Version(version)),
        };
        let cluster_bits = v2.cluster_bits.get();
        if !(9..=21).contains(&cluster_bits) {
            return Err(Qcow2Error::Damaged("the cluster size is out of range"));
        }
        let start = &start[..start.len().min(1 << cluster_bits)];
        let extensions = Extensions::parse(start.get(extensions..).ok_or(SHORT)?)?;
        if v2.crypt_method.get() != 0 {
            return Err(Qcow2Error::Encrypted);
        }
        if let Some(v3) = v3 {
            check_features(v3.incompatible_features.get(), &extensions)?;
        }
        let refcount_order = v3.map_or(4, |v3| v3.refcount_order.get());
        if refcount_order > 6 {
            return Err(Qcow2Error::Damaged("the reference counts are too wide"));
        }
        Ok(Self {
            version,
            size: disk_size(v2)?,
            cluster_bits,
            refcount_order,
            l1_table: l1_table(v2, file_size)?,
            refcount_table: refcount_table(v2, file_size)?,
            has_bitmaps: v3.is_some_and(|v3| v3.autoclear_features.get() & AUTOCLEAR_BITMAPS != 0),
            backing: backing(v2, start, extensions.backing_format)?,
        })
    }

    /// Bytes in a cluster.
    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }
}

const SHORT: Qcow2Error = Qcow2Error::Damaged("it is too short");

fn header_length(v3: &Version3) -> Result<usize, Qcow2Error> {
    let least = size_of::<Version2>() + size_of::<Version3>();
    let length = usize::try_from(v3.header_length.get()).map_err(|_| SHORT)?;
    if length < least || !length.is_multiple_of(8) {
        return Err(Qcow2Error::Damaged("its length is wrong"));
    }
    Ok(length)
}

fn disk_size(v2: &Version2) -> Result<u64, Qcow2Error> {
    match v2.size.get() {
        0 => Err(Qcow2Error::Damaged("the disk has no sectors")),
        size if !size.is_multiple_of(SECTOR_SIZE) => {
            Err(Qcow2Error::Damaged("the disk's size is not a whole number of sectors"))
        }
        // File offsets are signed, and an image never holds that much.
        size if size > 1 << 62 => Err(Qcow2Error::Damaged("the disk is too large")),
        size => Ok(size),
    }
}

fn l1_table(v2: &Version2, file_size: u64) -> Result<Range<u64>, Qcow2Error> {
    let bits = v2.cluster_bits.get();
    let bytes = u64::from(v2.l1_size.get()) * 8;
    // An L2 table is a cluster of entries of 8 bytes, one for each cluster.
    let needed = v2.size.get().div_ceil(1 << (2 * bits - 3)) * 8;
    if bytes < needed || bytes > MAX_L1_BYTES {
        return Err(Qcow2Error::Damaged("the L1 table does not fit the disk's size"));
    }
    let outside = Qcow2Error::Damaged("the L1 table is not in the file");
    table(v2.l1_table_offset.get(), bytes, bits, file_size).ok_or(outside)
}

fn refcount_table(v2: &Version2, file_size: u64) -> Result<Range<u64>, Qcow2Error> {
    let bits = v2.cluster_bits.get();
    let bytes = u64::from(v2.refcount_table_clusters.get()) << bits;
    if bytes == 0 || bytes > MAX_REFCOUNT_TABLE {
        return Err(Qcow2Error::Damaged("the refcount table has a size that cannot be"));
    }
    let outside = Qcow2Error::Damaged("the refcount table is not in the file");
    table(v2.refcount_table_offset.get(), bytes, bits, file_size).ok_or(outside)
}

/// Where a table is, if it can be there: in whole clusters, behind the header.
fn table(offset: u64, bytes: u64, bits: u32, file_size: u64) -> Option<Range<u64>> {
    let end = offset.checked_add(bytes)?;
    let fits = offset != 0 && offset.is_multiple_of(1 << bits) && end <= file_size;
    fits.then_some(offset..end)
}

fn check_features(features: u64, extensions: &Extensions) -> Result<(), Qcow2Error> {
    let Some(bit) = (0..u64::BITS).find(|bit| features >> bit & 1 != 0) else { return Ok(()) };
    Err(match bit {
        INCOMPATIBLE_DIRTY => Qcow2Error::Dirty,
        INCOMPATIBLE_CORRUPT => Qcow2Error::Corrupt,
        INCOMPATIBLE_EXTERNAL_DATA => Qcow2Error::ExternalData,
        INCOMPATIBLE_COMPRESSION => Qcow2Error::CompressionType,
        INCOMPATIBLE_EXTENDED_L2 => Qcow2Error::ExtendedL2,
        bit => Qcow2Error::Incompatible { bit, name: extensions.feature_name(bit) },
    })
}

fn backing(
    v2: &Version2,
    start: &[u8],
    format: Option<String>,
) -> Result<Option<Backing>, Qcow2Error> {
    let offset = v2.backing_file_offset.get();
    if offset == 0 {
        return Ok(None);
    }
    let damaged = || Qcow2Error::Damaged("the backing file's name is not in it");
    let size = v2.backing_file_size.get();
    if size == 0 || size > MAX_NAME {
        return Err(damaged());
    }
    let from = usize::try_from(offset).map_err(|_| damaged())?;
    let name = start.get(from..).and_then(|rest| rest.get(..usize::try_from(size).ok()?));
    let name = std::str::from_utf8(name.ok_or_else(damaged)?)
        .map_err(|_| Qcow2Error::Damaged("the backing file's name is not UTF-8"))?;
    Ok(Some(Backing { name: name.to_owned(), format }))
}

/// What follows the header.
#[derive(Default)]
struct Extensions<'h> {
    backing_format: Option<String>,
    feature_names: &'h [u8],
}

impl<'h> Extensions<'h> {
    /// Reads them up to the one that ends them. The list may also end where
    /// the first cluster or the file does, as in images of version 2 that
    /// know no extensions.
    fn parse(mut rest: &'h [u8]) -> Result<Self, Qcow2Error> {
        let mut found = Self::default();
        while let Ok((header, after)) = ExtensionHeader::ref_from_prefix(rest) {
            let kind = header.kind.get();
            if kind == EXTENSION_END {
                break;
            }
            let damaged = || Qcow2Error::Damaged("an extension is longer than the first cluster");
            let length = usize::try_from(header.length.get()).map_err(|_| damaged())?;
            let data = after.get(..length).ok_or_else(damaged)?;
            match kind {
                EXTENSION_BACKING_FORMAT => {
                    found.backing_format = Some(String::from_utf8_lossy(data).into_owned());
                }
                EXTENSION_FEATURE_NAMES => found.feature_names = data,
                _ => {}
            }
            // Padded to 8 bytes; the last one may lack the padding.
            rest = after.get(length.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(found)
    }

    /// What the image calls incompatible feature `bit`.
    fn feature_name(&self, bit: u32) -> String {
        let entries = self.feature_names.chunks_exact(size_of::<FeatureName>());
        let names = entries.filter_map(|entry| FeatureName::ref_from_bytes(entry).ok());
        let mut wanted = names.filter(|name| name.kind == 0 && u32::from(name.bit) == bit);
        let Some(entry) = wanted.next() else { return "it has no name".into() };
        let end = entry.name.iter().position(|b| *b == 0).unwrap_or(entry.name.len());
        entry.name[..end].escape_ascii().to_string()
    }
}
