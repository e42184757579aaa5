use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::BadValue;

/// Where the serial console goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Console {
    /// To standard output, and from standard input.
    #[default]
    Stdio,
    /// Nowhere; what the guest says is still watched for a panic.
    Off,
    /// To this file, made or emptied at start; no input.
    File(PathBuf),
}

impl Console {
    /// Reads `stdio`, `off` or `file=PATH`.
    ///
    /// # Errors
    /// If it is neither, or the path is empty.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        match value.as_bytes() {
            b"stdio" => Ok(Self::Stdio),
            b"off" => Ok(Self::Off),
            b"file=" => Err(BadValue::new("the path is empty")),
            bytes => match bytes.strip_prefix(b"file=") {
                Some(path) => Ok(Self::File(PathBuf::from(OsStr::from_bytes(path)))),
                None => Err(BadValue::new("a console is stdio, off or file=PATH")),
            },
        }
    }
}
