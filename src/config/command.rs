use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BadValue, ShareConfig, ShareTag};

/// A command for the guest to run, and the files that it finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments; at least the program.
    #[serde(with = "words")]
    pub argv: Vec<OsString>,
    /// The directory of the host's that is the guest's root, below a layer
    /// that takes what the guest changes and goes with it.
    #[serde(default = "slash")]
    pub root: PathBuf,
    /// Directories whose changes are the host's.
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// How its environment differs from Kiln's.
    #[serde(default, with = "changes")]
    pub env: Vec<EnvChange>,
    /// Where the kernel's modules are, instead of /lib/modules: a folder that
    /// has `modules.dep`, or one with `lib/modules/RELEASE` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<PathBuf>,
}

fn slash() -> PathBuf {
    "/".into()
}

impl CommandConfig {
    /// The tag of the root.
    pub const ROOT_TAG: &str = "kiln-root";

    /// The tag of the writable directory of that number.
    pub fn writable_tag(number: usize) -> String {
        format!("kiln-rw{number}")
    }

    /// What is shared with the guest for this.
    pub fn shares(&self) -> impl Iterator<Item = ShareConfig> {
        let share = |tag: &str, path: &Path, read_only| ShareConfig {
            tag: tag.parse::<ShareTag>().expect("a tag of ours is one"),
            path: path.to_owned(),
            read_only,
        };
        let root = share(Self::ROOT_TAG, &self.root, true);
        let writable = self.writable.iter().enumerate();
        let writable = writable.map(move |(n, path)| share(&Self::writable_tag(n), path, false));
        std::iter::once(root).chain(writable)
    }
}

/// A change of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvChange {
    /// The variable has this value.
    Set(OsString, OsString),
    /// There is no such variable.
    Unset(OsString),
}

impl EnvChange {
    /// Reads `NAME=VALUE`, or `NAME`, which takes the variable away.
    ///
    /// # Errors
    /// If the name is empty.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let mut parts = value.as_bytes().splitn(2, |byte| *byte == b'=').map(OsStr::from_bytes);
        let name = parts.next().unwrap_or_default();
        if name.is_empty() {
            return Err(BadValue::new("the variable has no name"));
        }
        Ok(match parts.next() {
            Some(value) => Self::Set(name.into(), value.into()),
            None => Self::Unset(name.into()),
        })
    }

    fn text(&self) -> OsString {
        match self {
            Self::Set(name, value) => [name, OsStr::new("="), value].into_iter().collect(),
            Self::Unset(name) => name.clone(),
        }
    }
}

/// Words in a file, which are text there.
mod words {
    use std::ffi::OsString;

    use serde::ser::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(words: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
        to.collect_seq(words.ok_or_else(|| Error::custom("a word of a command is not UTF-8"))?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<OsString>, D::Error> {
        Ok(Vec::<String>::deserialize(from)?.into_iter().map(OsString::from).collect())
    }
}

/// Changes in a file, as they are typed.
mod changes {
    use std::ffi::OsString;

    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::{EnvChange, words};

    pub(super) fn serialize<S: Serializer>(
        changes: &[EnvChange],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<OsString> = changes.iter().map(EnvChange::text).collect();
        words::serialize(&texts, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<EnvChange>, D::Error> {
        let texts = words::deserialize(from)?;
        texts.iter().map(|text| EnvChange::parse(text).map_err(Error::custom)).collect()
    }
}
