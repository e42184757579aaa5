//! What kernels and modules are packed in.

use std::io::{self, BufRead, ErrorKind, Read};

/// The most memory that a decoder of xz may take, in KiB: a file may ask for
/// 4 GiB.
const XZ_MEMORY: u32 = 512 << 10;

/// What `packed` holds in the format of gzip.
pub(crate) fn gzip<'p>(packed: impl BufRead + 'p) -> Box<dyn Read + 'p> {
    Box::new(flate2::bufread::GzDecoder::new(packed))
}

/// What `packed` holds in the format of xz.
pub(crate) fn xz<'p>(packed: impl BufRead + 'p) -> Box<dyn Read + 'p> {
    Box::new(lzma_rust2::XzReader::new_mem_limit(packed, false, XZ_MEMORY))
}

/// What `packed` holds in the format of zstd.
///
/// # Errors
/// `InvalidData` if it does not begin so, or asks for more than 128 MiB for that.
pub(crate) fn zstd<'p>(packed: impl BufRead + 'p) -> io::Result<Box<dyn Read + 'p>> {
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed);
    Ok(Box::new(decoder.map_err(|error| damaged(error.to_string()))?))
}

/// The error of a file that is not as its format says.
pub(crate) fn damaged(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}
