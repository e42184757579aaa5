use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BadValue, text::as_text};

/// How long a run may last: more than nothing, at most a thousand days.
/// Written as `30s`, `1m 30s`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timeout(Duration);

impl Timeout {
    /// The longest timeout.
    pub const MAX: Duration = Duration::from_secs(1000 * 24 * 60 * 60);

    /// The time itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Timeout {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let time = humantime::parse_duration(text)
            .map_err(|_| BadValue::new("a time is a number with a unit, as in 30s, 5m or 500ms"))?;
        if time.is_zero() {
            return Err(BadValue::new("the run would end before it starts"));
        }
        if time > Self::MAX {
            return Err(BadValue::new("the longest timeout is 1000 days"));
        }
        Ok(Self(time))
    }
}

as_text!(Timeout);

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}
