use std::io;
use std::ops::Range;

use vmm_core::sys::ImageFile;

use super::Header;
use super::header::MAX_REFCOUNT_TABLE;

/// The reference counts of an image's clusters, as the file has them: where its
/// refcount table is, and where that says the refcount blocks are (qcow2
/// specification, "Host cluster management").
#[derive(Debug)]
pub(super) struct Refcounts {
    cluster_bits: u32,
    /// Bits of one count: 2 to this power.
    order: u32,
    table: Range<u64>,
    /// Offsets of the refcount blocks; 0 for none.
    blocks: Vec<u64>,
}

impl Refcounts {
    pub(super) fn load(file: &impl ImageFile, header: &Header) -> io::Result<Self> {
        let table = header.refcount_table.clone();
        let blocks = load_table(file, &table)?;
        let (cluster_bits, order) = (header.cluster_bits, header.refcount_order);
        Ok(Self { cluster_bits, order, table, blocks })
    }

    /// Takes the header's fields for the table; whether they are new.
    pub(super) fn reload(&mut self, file: &impl ImageFile, fields: [u8; 12]) -> io::Result<bool> {
        let [a, b, c, d, e, f, g, h, clusters @ ..] = fields;
        let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let len = u64::from(u32::from_be_bytes(clusters)) << self.cluster_bits;
        let table = start..start.checked_add(len).ok_or(io::ErrorKind::InvalidData)?;
        if table == self.table {
            return Ok(false);
        }
        if len > MAX_REFCOUNT_TABLE || table.end > file.size()? {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.blocks = load_table(file, &table)?;
        self.table = table;
        Ok(true)
    }

    /// Where the refcount table is.
    pub(super) fn table(&self) -> Range<u64> {
        self.table.clone()
    }

    /// The offsets of all refcount blocks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks.iter().copied().filter(|block| *block != 0)
    }

    /// Takes note of the table's entry at file offset `at`.
    pub(super) fn enter(&mut self, at: u64, block: u64) {
        let index = usize::try_from((at - self.table.start) / 8).unwrap_or(usize::MAX);
        if let Some(entry) = self.blocks.get_mut(index) {
            *entry = block;
        }
    }

    /// The bytes to write, and where, so that the cluster at `offset` counts as
    /// used; `None` if it does.
    pub(super) fn used(
        &self,
        file: &impl ImageFile,
        offset: u64,
    ) -> io::Result<Option<(Vec<u8>, u64)>> {
        let (block, count) = self.place(offset);
        let block = self.blocks.get(block).copied().filter(|block| *block != 0);
        let block = block.ok_or_else(|| io::Error::other("a cluster in use has no refcount"))?;
        let mut bytes = vec![0; count.bytes.len()];
        let at = block + u64::try_from(count.bytes.start).expect("a block is at most 2 MiB");
        file.read(&mut bytes, at)?;
        Ok(count.set(&mut bytes).then_some((bytes, at)))
    }

    /// If `from`, which is to be written at file offset `at`, has the count of
    /// the cluster at `offset`: whether that says it is used. If not, it does
    /// so afterwards.
    pub(super) fn keep_counted(&self, offset: u64, from: &mut [u8], at: u64) -> bool {
        let (block, count) = self.place(offset);
        let Some(block) = self.blocks.get(block) else { return false };
        let Some(skipped) = at.checked_sub(*block).and_then(|n| usize::try_from(n).ok()) else {
            return false;
        };
        let start = count.bytes.start.checked_sub(skipped);
        let bytes = start.and_then(|start| from.get_mut(start..start + count.bytes.len()));
        bytes.is_some_and(|bytes| !count.set(bytes))
    }

    /// The index of the block that has the count of the cluster at `offset`,
    /// and where in the block it is.
    fn place(&self, offset: u64) -> (usize, Count) {
        let cluster = offset >> self.cluster_bits;
        // A block is a cluster: 8 bits a byte, 2 to the power of `order` a count.
        let index_bits = self.cluster_bits + 3 - self.order;
        let block = usize::try_from(cluster >> index_bits).unwrap_or(usize::MAX);
        let index = cluster & ((1 << index_bits) - 1);
        let bit = usize::try_from(index << self.order).expect("a block is at most 2 MiB");
        let width = 1_usize << self.order;
        let bytes = bit / 8..(bit + width).div_ceil(8);
        (block, Count { bytes, shift: bit % 8, width })
    }
}

/// Where a count is in a refcount block: in these bytes, big-endian, or if it
/// is less than a byte, in these bits of one.
struct Count {
    bytes: Range<usize>,
    shift: usize,
    width: usize,
}

impl Count {
    /// Makes the count in its `bytes` 1 if it is 0; whether it was.
    fn set(&self, bytes: &mut [u8]) -> bool {
        let mask = if self.width < 8 { ((1 << self.width) - 1) << self.shift } else { 0xff };
        if bytes.iter().any(|byte| byte & mask != 0) {
            return false;
        }
        if let Some(last) = bytes.last_mut() {
            *last |= 1 << self.shift;
        }
        true
    }
}

fn load_table(file: &impl ImageFile, table: &Range<u64>) -> io::Result<Vec<u64>> {
    let len = usize::try_from(table.end - table.start).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; len];
    file.read(&mut bytes, table.start)?;
    let (entries, _) = bytes.as_chunks::<8>();
    Ok(entries.iter().map(|entry| u64::from_be_bytes(*entry) & !0x1ff).collect())
}
