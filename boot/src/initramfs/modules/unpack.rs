use std::io::{self, ErrorKind, Read};

use crate::packed::{self, damaged};

/// The largest module that is unpacked, in bytes: what is larger is no module.
const MODULE_MAX: u64 = 256 << 20;

/// The module in a file whose name ends in `suffix`.
pub(super) fn unpack(suffix: &str, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    match suffix {
        "ko" => Ok(bytes),
        "xz" => all(packed::xz(&bytes[..])),
        "gz" => all(packed::gzip(&bytes[..])),
        "zst" => all(packed::zstd(&bytes[..])?),
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
        return Err(damaged("it is too large for a module"));
    }
    Ok(module)
}
