//! The kernel in an image: what is loaded of an ELF file, and what a bzImage
//! unpacks.

use std::io::{self, BufReader, ErrorKind, Read};
use std::time::Instant;

use lz4_flex::block;

use super::image::{Image, Protocol, Segment};
use super::kernel::Kernel;
use super::sections::Part;
use super::source::Source;
use crate::packed::{self, damaged};

/// The largest kernel that is unpacked, in bytes.
const CONTENTS_MAX: u64 = 512 << 20;
/// How much is unpacked between two looks at the clock.
const STEP: u64 = 1 << 20;
/// Tables in a kernel are aligned to this.
const ALIGNMENT: u64 = 8;

/// How packed kernels begin.
const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = b"\xfd7zXZ\0";
const ZSTD: &[u8] = &0xfd2f_b528_u32.to_le_bytes();
/// LZ4's old frame, which Linux packs itself in.
const LZ4: &[u8] = &0x184c_2102_u32.to_le_bytes();
/// What is in a block of that frame.
const LZ4_BLOCK: usize = 8 << 20;
/// The most bytes that such a block is packed to: a literal takes 1 + 1/255.
const LZ4_PACKED: usize = LZ4_BLOCK + LZ4_BLOCK / 255 + 16;

impl Kernel {
    /// The bytes of the kernel, those of a bzImage unpacked.
    ///
    /// # Errors
    /// What the host said when the file was read; `InvalidData` if it is
    /// damaged, and `Unsupported` if it is packed in a way unknown here
    /// (known are gzip, xz, zstd and lz4); `TimedOut` if it takes until
    /// `deadline`.
    pub fn contents(&self, deadline: Instant) -> io::Result<Vec<u8>> {
        let source = Source::file(&self.file, self.file.metadata()?.len());
        let mut reader = reader(&self.image, &source)?.take(CONTENTS_MAX);
        let mut contents = Vec::new();
        while reader.by_ref().take(STEP).read_to_end(&mut contents)? > 0 {
            if Instant::now() >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(contents)
    }
}

/// The kernel in `image`, from its beginning to its end.
pub(super) fn reader<'a>(
    image: &'a Image,
    source: &'a Source<'a>,
) -> io::Result<Box<dyn Read + 'a>> {
    let Protocol::BzImage(header) = &image.protocol else {
        return Ok(Box::new(Loaded { source, segments: &image.segments, at: 0 }));
    };
    // Counted from where the file's protected-mode code begins.
    let code = image.segments.first().map_or(0, |segment| segment.offset);
    let from = code + u64::from(header.payload_offset);
    let end = from.saturating_add(u64::from(header.payload_length)).min(source.size);
    let mut packed = BufReader::with_capacity(64 << 10, Piece { source, at: from, end });
    let head = source.up_to(from, XZ.len()).map_err(io::Error::from)?;
    Ok(if head.starts_with(GZIP) {
        packed::gzip(packed)
    } else if head.starts_with(XZ) {
        packed::xz(packed)
    } else if head.starts_with(ZSTD) {
        packed::zstd(packed)?
    } else if head.starts_with(LZ4) {
        packed.read_exact(&mut [0; LZ4.len()])?;
        Box::new(Lz4 { packed, block: Vec::new(), at: 0 })
    } else {
        return Err(ErrorKind::Unsupported.into());
    })
}

/// A part of an image, as it is.
pub(super) fn part<'a>(source: &'a Source<'a>, part: Part) -> impl Read + 'a {
    Piece { source, at: part.offset, end: part.offset + part.size }
}

/// A part of a file.
struct Piece<'a> {
    source: &'a Source<'a>,
    at: u64,
    end: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let count = self.source.fill(self.at, &mut buffer[..room]).map_err(io::Error::from)?;
        self.at += u64::try_from(count).expect("a length has at most 64 bits");
        Ok(count)
    }
}

/// The segments of an ELF file one after the other, each padded, so that what
/// is aligned in memory stays so.
struct Loaded<'a> {
    source: &'a Source<'a>,
    segments: &'a [Segment],
    /// Bytes of the first of them that were read.
    at: u64,
}

impl Read for Loaded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((segment, rest)) = self.segments.split_first() else { return Ok(0) };
        let padded = segment.file_size.next_multiple_of(ALIGNMENT);
        if self.at == padded {
            (self.segments, self.at) = (rest, 0);
            return self.read(buffer);
        }
        if self.at >= segment.file_size {
            let padding = usize::try_from(padded - self.at).unwrap_or(usize::MAX);
            let count = buffer.len().min(padding);
            buffer[..count].fill(0);
            self.at += u64::try_from(count).expect("a length has at most 64 bits");
            return Ok(count);
        }
        let (at, end) = (segment.offset + self.at, segment.offset + segment.file_size);
        let count = Piece { source: self.source, at, end }.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at += u64::try_from(count).expect("a length has at most 64 bits");
        Ok(count)
    }
}

/// LZ4's old frame: blocks, each with its packed length before it (LZ4 frame
/// format, "Legacy frame"). What follows the last is not as long as it says.
struct Lz4<R> {
    packed: R,
    block: Vec<u8>,
    /// Bytes of the block that were read.
    at: usize,
}

impl<R: Read> Lz4<R> {
    /// The next block; whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        let is_cut = |error: &io::Error| error.kind() == ErrorKind::UnexpectedEof;
        match self.packed.read_exact(&mut length) {
            Err(error) if is_cut(&error) => return Ok(false),
            result => result?,
        }
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > LZ4_PACKED {
            return Ok(false);
        }
        let mut packed = vec![0; length];
        match self.packed.read_exact(&mut packed) {
            Err(error) if is_cut(&error) => return Ok(false),
            result => result?,
        }
        self.block.resize(LZ4_BLOCK, 0);
        let unpacked = block::decompress_into(&packed, &mut self.block);
        let length = unpacked.map_err(|error| damaged(error.to_string()))?;
        self.block.truncate(length);
        self.at = 0;
        Ok(length > 0)
    }
}

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && !self.advance()? {
            return Ok(0);
        }
        let left = &self.block[self.at..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}
