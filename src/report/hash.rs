use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// A file that a run was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Given {
    path: String,
    /// SHA-256 of its contents in hexadecimal digits; `None` if it cannot be
    /// read, or has changed since the run began.
    sha256: Option<String>,
    #[serde(skip)]
    file: PathBuf,
    /// What tells whether it has changed.
    #[serde(skip)]
    state: Option<[i128; 5]>,
}

impl Given {
    /// The file as it is now, which costs next to nothing.
    pub(super) fn note(path: &Path) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            sha256: None,
            file: path.to_owned(),
            state: state(path),
        }
    }

    /// Its name without its folder.
    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Reads it, if it is still the same file.
    pub(super) fn hash(&mut self) {
        if self.state.is_some() && state(&self.file) == self.state {
            self.sha256 = digest(&self.file).ok();
        }
    }
}

fn state(path: &Path) -> Option<[i128; 5]> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let of = |value: u64| i128::from(value);
    let (seconds, nanos) = (found.mtime().into(), found.mtime_nsec().into());
    Some([of(found.dev()), of(found.ino()), of(found.size()), seconds, nanos])
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
