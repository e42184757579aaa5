use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, text::as_text};

/// The Ethernet address of one interface: six bytes, neither a group address
/// nor all zero. Written as `52:54:00:12:34:56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// The six bytes, first on the wire first.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddr {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let malformed = || {
            BadValue(format!(
                "mac={text} is not six bytes in hexadecimal with colons, as in 52:54:00:12:34:56"
            ))
        };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().unwrap_or_default();
            // from_str_radix alone would take a sign.
            if part.len() != 2 || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(malformed());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| malformed())?;
        }
        if parts.next().is_some() {
            return Err(malformed());
        }
        if octets[0] & 1 != 0 {
            return Err(BadValue(format!("mac={text} is a group address: its first byte is odd")));
        }
        if octets == [0; 6] {
            return Err(BadValue(format!("mac={text} is no address")));
        }
        Ok(Self(octets))
    }
}

as_text!(MacAddr);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
