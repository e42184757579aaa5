use std::io::{self, ErrorKind, Read};

/// The largest module that is unpacked, in bytes: what is larger is no module.
const MODULE_MAX: u64 = 256 << 20;

/// The module in a file whose name ends in `suffix`.
pub(super) fn unpack(suffix: &str, packed: Vec<u8>) -> io::Result<Vec<u8>> {
    match suffix {
        "ko" => Ok(packed),
        "xz" => all(lzma_rust2::XzReader::new(&packed[..], false)),
        "gz" => all(flate2::read::GzDecoder::new(&packed[..])),
        "zst" => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(&packed[..]);
            all(decoder
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?)
        }
        _ => Err(io::Error::new(
            ErrorKind::Unsupported,
            "its name ends in none of .ko, .ko.xz, .ko.zst and .ko.gz",
        )),
    }
}

fn all(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut module = Vec::new();
    let length = reader.take(MODULE_MAX).read_to_end(&mut module)?;
    if u64::try_from(length).unwrap_or(MODULE_MAX) == MODULE_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is too large for a module"));
    }
    Ok(module)
}
