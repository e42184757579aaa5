use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, text::as_text};

/// The name of a virtual machine in logs and thread names: 1 to 64 ASCII
/// letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmName(String);

impl VmName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VmName {
    type Err = BadValue;

    fn from_str(name: &str) -> Result<Self, BadValue> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=Self::MAX_LEN).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(BadValue(format!(
                "a name is 1 to {} letters, digits, '-', '_' and '.'",
                Self::MAX_LEN
            )));
        }
        Ok(Self(name.to_owned()))
    }
}

as_text!(VmName);

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
