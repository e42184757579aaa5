use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, list};

/// A socket device: how the guest is called, and where the host meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VsockConfig {
    /// The guest's address.
    pub cid: GuestCid,
    /// The Unix socket for connections to the guest; those that it opens to
    /// port P go to the same path with `_P` at its end.
    pub socket: PathBuf,
}

impl VsockConfig {
    /// Reads `cid=N,socket=PATH`, in either order; a comma in the path is
    /// doubled.
    ///
    /// # Errors
    /// If one is missing or given twice, or an option is unknown or malformed.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let (mut cid, mut socket) = (None, None);
        for part in list::split(value) {
            if let Some(path) = part.as_bytes().strip_prefix(b"socket=") {
                let path = PathBuf::from(OsStr::from_bytes(path));
                list::once(&mut socket, "socket", path)?;
                continue;
            }
            match list::key_value(&part)? {
                ("cid", Some(number)) => list::read(&mut cid, "cid", number)?,
                _ => {
                    return Err(BadValue(format!(
                        "'{}' is no option of a socket device (cid=N and socket=PATH are; a \
                         comma in the path is written twice)",
                        part.to_string_lossy()
                    )));
                }
            }
        }
        let cid = cid.ok_or_else(|| BadValue::new("cid=N is missing"))?;
        match socket {
            None => Err(BadValue::new("socket=PATH is missing")),
            Some(path) if path.as_os_str().is_empty() => Err(BadValue::new("the path is empty")),
            Some(socket) => Ok(Self { cid, socket }),
        }
    }
}

/// A guest's address among sockets: 3 to 2³² - 2 (VIRTIO 1.2 §5.10.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct GuestCid(u32);

impl GuestCid {
    /// The first that a guest may have, 3.
    pub const FIRST: Self = Self(3);

    /// The address as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for GuestCid {
    type Error = BadValue;

    fn try_from(cid: u32) -> Result<Self, BadValue> {
        if (3..u32::MAX).contains(&cid) { Ok(Self(cid)) } else { Err(bad_cid()) }
    }
}

impl From<GuestCid> for u32 {
    fn from(cid: GuestCid) -> Self {
        cid.0
    }
}

impl FromStr for GuestCid {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let number = list::digits(text).and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(bad_cid)?.try_into()
    }
}

impl fmt::Display for GuestCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn bad_cid() -> BadValue {
    BadValue::new("a guest's address is a number from 3 to 4294967294; 2 is the host's")
}
