use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text::as_text;
use super::{BadValue, list};

/// A directory of the host's that the guest can mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareConfig {
    /// What the guest mounts it by.
    pub tag: ShareTag,
    /// The directory.
    pub path: PathBuf,
    /// Whether the guest can only read.
    #[serde(default)]
    pub read_only: bool,
}

impl ShareConfig {
    /// Reads `TAG=DIR[,ro]`; a comma in either is doubled, and the tag ends at
    /// the first `=`.
    ///
    /// # Errors
    /// If one is missing or malformed, or an option is unknown or given twice.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let parts = list::split(value);
        let first = parts.first().map_or(&[][..], |part| part.as_bytes());
        let end = first.iter().position(|byte| *byte == b'=');
        let end = end.ok_or_else(|| BadValue::new("a share is TAG=DIR, and ,ro to only read"))?;
        let tag = String::from_utf8_lossy(&first[..end]).parse()?;
        let path = PathBuf::from(OsStr::from_bytes(&first[end + 1..]));
        if path.as_os_str().is_empty() {
            return Err(BadValue::new("the path is empty"));
        }
        let mut read_only = None;
        for part in &parts[1..] {
            match list::key_value(part)? {
                ("ro", None) => list::once(&mut read_only, "ro", ())?,
                _ => {
                    return Err(BadValue(format!(
                        "'{}' is no option of a share (ro is; a comma in the path is written \
                         twice)",
                        part.to_string_lossy()
                    )));
                }
            }
        }
        Ok(Self { tag, path, read_only: read_only.is_some() })
    }
}

/// What a guest mounts a share by: 1 to 36 printable ASCII characters (VIRTIO
/// 1.2 §5.11.4 gives it 36 bytes) without a space or `=`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShareTag(String);

impl ShareTag {
    /// The longest tag, in bytes.
    pub const MAX_LEN: usize = 36;

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names something below the folder that it is looked up in.
    pub fn is_path(&self) -> bool {
        !self.0.split('/').any(|name| matches!(name, "" | "." | ".."))
    }
}

impl FromStr for ShareTag {
    type Err = BadValue;

    fn from_str(tag: &str) -> Result<Self, BadValue> {
        let fits = (1..=Self::MAX_LEN).contains(&tag.len());
        if !fits || !tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=') {
            return Err(BadValue(format!(
                "a tag is 1 to {} printable ASCII characters without '='",
                Self::MAX_LEN
            )));
        }
        Ok(Self(tag.to_owned()))
    }
}

as_text!(ShareTag);

impl fmt::Display for ShareTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
