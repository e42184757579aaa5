use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, list, text::as_text};

/// A disk: a raw image or a block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// The image or the device.
    pub path: PathBuf,
    /// Whether the guest may only read it.
    #[serde(default)]
    pub readonly: bool,
    /// What the guest sees as the disk's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DiskId>,
}

impl DiskConfig {
    /// Reads `PATH[,readonly][,id=NAME]`; a comma in the path is doubled.
    ///
    /// # Errors
    /// If the path is empty, or an option is unknown, given twice or malformed.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let parts = list::split(value);
        let path = parts.first().map(PathBuf::from).unwrap_or_default();
        if path.as_os_str().is_empty() {
            return Err(BadValue::new("the path is empty"));
        }
        let (mut readonly, mut id) = (None, None);
        for part in parts.iter().skip(1) {
            match list::key_value(part)? {
                ("readonly", None) => list::once(&mut readonly, "readonly", ())?,
                ("id", Some(name)) => list::once(&mut id, "id", name.parse()?)?,
                _ => {
                    return Err(BadValue(format!(
                        "'{}' is no option of a disk (readonly and id=NAME are; a comma in \
                         the path is written twice)",
                        part.to_string_lossy()
                    )));
                }
            }
        }
        Ok(Self { path, readonly: readonly.is_some(), id })
    }
}

/// A disk's serial number: 1 to 20 printable ASCII characters (VIRTIO 1.2
/// §5.2.6 gives it 20 bytes), without a space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskId(String);

impl DiskId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 20;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DiskId {
    type Err = BadValue;

    fn from_str(id: &str) -> Result<Self, BadValue> {
        let fits = (1..=Self::MAX_LEN).contains(&id.len());
        if !fits || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadValue(format!(
                "id={id} is not 1 to {} printable ASCII characters",
                Self::MAX_LEN
            )));
        }
        Ok(Self(id.to_owned()))
    }
}

as_text!(DiskId);

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
