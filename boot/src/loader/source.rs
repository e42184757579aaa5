use std::fs::File;
use std::os::unix::fs::FileExt;

use super::error::{ParseError, Unusable};

/// The bytes of a kernel image, read only where they are needed.
pub(super) struct Source<'a> {
    bytes: Bytes<'a>,
    /// Length of the image in bytes.
    pub(super) size: u64,
}

enum Bytes<'a> {
    File(&'a File),
    Slice(&'a [u8]),
}

impl<'a> Source<'a> {
    pub(super) fn file(file: &'a File, size: u64) -> Self {
        Self { bytes: Bytes::File(file), size }
    }

    pub(super) fn slice(bytes: &'a [u8]) -> Self {
        let size = u64::try_from(bytes.len()).expect("a length has at most 64 bits");
        Self { bytes: Bytes::Slice(bytes), size }
    }

    /// Up to `limit` bytes from `offset`; fewer, or none, at the end.
    pub(super) fn up_to(&self, offset: u64, limit: usize) -> Result<Vec<u8>, ParseError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let size = left.min(limit);
        let mut buffer = vec![0; size];
        self.fill(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Puts what there is from `offset` into `buffer`, as far as it has room;
    /// returns how many bytes.
    pub(super) fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ParseError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let size = left.min(buffer.len());
        if size == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..size];
        match self.bytes {
            Bytes::File(file) => file.read_exact_at(buffer, offset).map_err(ParseError::Read)?,
            Bytes::Slice(bytes) => {
                let start = usize::try_from(offset).expect("the offset lies inside the slice");
                buffer.copy_from_slice(&bytes[start..][..size]);
            }
        }
        Ok(size)
    }

    /// Exactly `len` bytes from `offset`, which the headers of a `format`
    /// file say are there.
    pub(super) fn exact(
        &self,
        format: &'static str,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, ParseError> {
        self.check(format, offset, u64::try_from(len).unwrap_or(u64::MAX))?;
        self.up_to(offset, len)
    }

    /// Refuses a piece of `len` bytes from `offset` that the file is too
    /// short for.
    pub(super) fn check(
        &self,
        format: &'static str,
        offset: u64,
        len: u64,
    ) -> Result<(), ParseError> {
        let needed = offset.saturating_add(len);
        if needed > self.size {
            return Err(Unusable::Truncated { format, needed, size: self.size }.into());
        }
        Ok(())
    }
}
