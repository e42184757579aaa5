use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::{BadValue, text::as_text};

/// A regular expression that a line of the console may match, anywhere in it
/// unless anchored with `^` and `$`; ASCII classes only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether `line`, without its end, matches.
    pub fn matches(&self, line: &str) -> bool {
        self.0.is_match(line)
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.is_empty() {
            return Err(BadValue::new("an empty expression matches every line"));
        }
        let bad = |e| BadValue(format!("this is no regular expression that is taken here: {e}"));
        Regex::new(text).map(Self).map_err(bad)
    }
}

as_text!(Pattern);

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}
