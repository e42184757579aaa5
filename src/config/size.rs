use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, text::as_text};

/// A number of bytes, written as a number with `K`, `M`, `G` or `T` (powers
/// of 1024) or without a unit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

/// Units from the largest, with their powers of two.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl ByteSize {
    /// A size of so many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in the largest unit that it reaches, rounded down to one
    /// decimal: for messages about sizes that nobody typed.
    pub fn rounded(self) -> String {
        for (unit, shift) in UNITS {
            if self.0 >> shift > 0 {
                let tenth = ((self.0 & ((1 << shift) - 1)) * 10) >> shift;
                let whole = self.0 >> shift;
                return match tenth {
                    0 => format!("{whole}{unit}"),
                    _ => format!("{whole}.{tenth}{unit}"),
                };
            }
        }
        format!("{} bytes", self.0)
    }
}

impl FromStr for ByteSize {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let malformed = || BadValue::new("a size is a whole number with K, M or G, as in 512M");
        let unit = text.chars().last().map(|last| last.to_ascii_uppercase());
        let (number, shift) = match UNITS.iter().find(|(name, _)| Some(*name) == unit) {
            Some((_, shift)) => (&text[..text.len() - 1], *shift),
            None => (text, 0),
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let too_large = || BadValue::new("no machine has that much");
        let number: u64 = number.parse().map_err(|_| too_large())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(too_large)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that loses nothing, so that parsing gives it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in UNITS {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

as_text!(ByteSize);

/// Guest memory: at least 1 MiB and whole 4 KiB pages.
///
/// How much the host can give is [`super::HostLimits`]' to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "ByteSize", into = "ByteSize")]
pub struct MemorySize(ByteSize);

impl MemorySize {
    /// What a guest gets when nobody says: 512 MiB.
    pub const DEFAULT: Self = Self(ByteSize::new(512 << 20));
    /// The least that holds the boot structures below 1 MiB.
    pub const MIN: ByteSize = ByteSize::new(1 << 20);
    /// What the size must be a multiple of: one page.
    pub const GRANULE: ByteSize = ByteSize::new(4 << 10);

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0.bytes()
    }
}

impl TryFrom<ByteSize> for MemorySize {
    type Error = BadValue;

    fn try_from(size: ByteSize) -> Result<Self, BadValue> {
        if size < Self::MIN {
            return Err(BadValue(format!("a guest needs at least {} of memory", Self::MIN)));
        }
        if !size.bytes().is_multiple_of(Self::GRANULE.bytes()) {
            return Err(BadValue(format!("memory comes in whole pages of {}", Self::GRANULE)));
        }
        Ok(Self(size))
    }
}

impl From<MemorySize> for ByteSize {
    fn from(size: MemorySize) -> Self {
        size.0
    }
}

impl FromStr for MemorySize {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse::<ByteSize>()?.try_into()
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
