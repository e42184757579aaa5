use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, MacAddr, list, text::as_text};

/// A network interface on a tap of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// The host's tap interface.
    pub tap: TapName,
    /// The guest's address; without it one that stays the same from run to
    /// run, by the machine's name or, if it has none, the tap's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
}

impl NetConfig {
    /// Reads `tap=NAME[,mac=AA:BB:CC:DD:EE:FF]`, in either order.
    ///
    /// # Errors
    /// If `tap` is missing, or an option is unknown, given twice or malformed.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let (mut tap, mut mac) = (None, None);
        for part in list::split(value) {
            match list::key_value(&part)? {
                ("tap", Some(name)) => list::once(&mut tap, "tap", name.parse()?)?,
                ("mac", Some(address)) => list::once(&mut mac, "mac", address.parse()?)?,
                _ => {
                    return Err(BadValue(format!(
                        "'{}' is no option of a network interface (tap=NAME and mac=ADDRESS are)",
                        part.to_string_lossy()
                    )));
                }
            }
        }
        let tap = tap.ok_or_else(|| BadValue::new("tap=NAME is missing"))?;
        Ok(Self { tap, mac })
    }
}

/// The name of a host interface: 1 to 15 bytes, as Linux takes them: no
/// space, `/`, `:` or control character, not `.` or `..`. A `%` is refused
/// too: the host would replace it with a number of its own choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TapName(String);

impl TapName {
    /// The longest name, in bytes: IFNAMSIZ less the NUL.
    pub const MAX_LEN: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TapName {
    type Err = BadValue;

    fn from_str(name: &str) -> Result<Self, BadValue> {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !"/:%".contains(c);
        if !(1..=Self::MAX_LEN).contains(&name.len()) {
            return Err(BadValue(format!(
                "tap={name}: an interface name has 1 to {} bytes",
                Self::MAX_LEN
            )));
        }
        if !name.chars().all(allowed) || name == "." || name == ".." {
            return Err(BadValue(format!("tap={name}: no interface can have that name")));
        }
        Ok(Self(name.to_owned()))
    }
}

as_text!(TapName);

impl fmt::Display for TapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
