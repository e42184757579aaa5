use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, ByteSize, MemorySize, list};

/// A balloon: how memory that the guest does not need comes back to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalloonConfig {
    /// How much of its memory the guest is to give away from the start, in
    /// whole pages.
    #[serde(default = "nothing")]
    pub size: ByteSize,
    /// Whether the guest may take that back rather than run out of memory.
    #[serde(default)]
    pub deflate_on_oom: bool,
    /// Whether pages that are free in the guest go back to the host.
    #[serde(default = "yes")]
    pub free_page_reporting: bool,
}

fn nothing() -> ByteSize {
    ByteSize::new(0)
}

fn yes() -> bool {
    true
}

impl Default for BalloonConfig {
    fn default() -> Self {
        Self { size: nothing(), deflate_on_oom: false, free_page_reporting: true }
    }
}

impl BalloonConfig {
    /// Reads `[size=SIZE][,deflate-on-oom=on][,free-page-reporting=off]`, in
    /// any order; an empty text is a balloon with nothing said.
    ///
    /// # Errors
    /// If an option is unknown, given twice or malformed.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let (mut size, mut deflate, mut reporting) = (None, None, None);
        let parts = if value.is_empty() { Vec::new() } else { list::split(value) };
        for part in parts {
            match list::key_value(&part)? {
                ("size", Some(text)) => list::once(&mut size, "size", parse_size(text)?)?,
                (key @ "deflate-on-oom", Some(text)) => {
                    list::once(&mut deflate, key, parse_switch(key, text)?)?;
                }
                (key @ "free-page-reporting", Some(text)) => {
                    list::once(&mut reporting, key, parse_switch(key, text)?)?;
                }
                _ => {
                    return Err(BadValue(format!(
                        "'{}' is no option of a balloon (size=, deflate-on-oom= and \
                         free-page-reporting= are)",
                        part.to_string_lossy()
                    )));
                }
            }
        }
        let default = Self::default();
        Ok(Self {
            size: size.unwrap_or(default.size),
            deflate_on_oom: deflate.unwrap_or(default.deflate_on_oom),
            free_page_reporting: reporting.unwrap_or(default.free_page_reporting),
        })
    }

    /// Checks that a guest of so much memory can give `size` away.
    ///
    /// # Errors
    /// If it cannot, or if that is no whole number of pages.
    pub fn check(&self, memory: MemorySize) -> Result<(), BadValue> {
        let size = self.size;
        if size.bytes() >= memory.bytes() {
            let reason = format!("size={size} leaves nothing of the {memory} that the guest has");
            return Err(BadValue(reason));
        }
        if !size.bytes().is_multiple_of(MemorySize::GRANULE.bytes()) {
            let granule = MemorySize::GRANULE;
            return Err(BadValue(format!("size={size}: memory comes in whole pages of {granule}")));
        }
        Ok(())
    }
}

fn parse_size(text: &str) -> Result<ByteSize, BadValue> {
    text.parse().map_err(|BadValue(why)| BadValue(format!("size={text}: {why}")))
}

fn parse_switch(key: &str, text: &str) -> Result<bool, BadValue> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(BadValue(format!("{key}={text}: it is on or off"))),
    }
}
