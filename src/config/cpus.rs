use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BadValue;

/// A number of virtual processors: 1 to 254, as APIC ids of one byte allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u8")]
pub struct CpuCount(u8);

impl CpuCount {
    /// What a guest gets when nobody says.
    pub const DEFAULT: Self = Self(1);
    /// The largest machine.
    pub const MAX: Self = Self(254);

    /// The number itself, 1 to 254.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for CpuCount {
    type Error = BadValue;

    fn try_from(count: u64) -> Result<Self, BadValue> {
        match u8::try_from(count) {
            Ok(count) if (1..=Self::MAX.0).contains(&count) => Ok(Self(count)),
            _ => Err(BadValue(format!("a guest has 1 to {} processors", Self::MAX.0))),
        }
    }
}

impl FromStr for CpuCount {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        // What is no number at all gets the same sentence as one out of range.
        Self::try_from(text.parse().unwrap_or(0))
    }
}

impl From<CpuCount> for u8 {
    fn from(count: CpuCount) -> Self {
        count.0
    }
}

impl fmt::Display for CpuCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
