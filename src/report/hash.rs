use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use serde::Serialize;
use sha2::{Digest, Sha256};
use vmm_core::sys::signal;

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 64 << 10;

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

    /// Notes what its contents hash to, if it is still the same file.
    fn take(&mut self, digest: Option<String>) {
        self.sha256 = digest.filter(|_| state(&self.file) == self.state);
    }
}

fn state(path: &Path) -> Option<[i128; 5]> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let of = |value: u64| i128::from(value);
    let (seconds, nanos) = (found.mtime().into(), found.mtime_nsec().into());
    Some([of(found.dev()), of(found.ino()), of(found.size()), seconds, nanos])
}

/// The thread `hash`, which hashes files while the run goes on. It is as urgent as
/// others: who waits for one that is not, waits for everybody.
#[derive(Debug)]
pub(super) struct Hashing {
    thread: JoinHandle<Vec<Reading>>,
    stop: Arc<AtomicBool>,
}

impl Hashing {
    /// Begins with the files as they are now. The thread takes no signals.
    ///
    /// # Errors
    /// If the host has no thread left.
    pub(super) fn begin<'a>(files: impl Iterator<Item = &'a Given>) -> io::Result<Self> {
        let mut readings: Vec<_> = files.map(Reading::begin).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let hash = move || {
            readings.iter_mut().for_each(|reading| reading.go_on(&theirs));
            readings
        };
        let builder = Builder::new().name("hash".into()).stack_size(64 << 10);
        let thread = signal::shielded(|| builder.spawn(hash))?;
        Ok(Self { thread, stop })
    }

    /// Does what the thread has not come to, and tells the files, the same in the
    /// same order.
    pub(super) fn finish<'a>(self, files: impl Iterator<Item = &'a mut Given>) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that has panicked has said so.
        let readings = self.thread.join().unwrap_or_default();
        for (file, mut reading) in files.zip(readings) {
            reading.go_on(&AtomicBool::new(false));
            file.take(reading.digest());
        }
    }
}

/// A file that is being hashed.
#[derive(Debug)]
struct Reading {
    /// `None` once all of it is read, or if it cannot be.
    file: Option<File>,
    hasher: Option<Sha256>,
}

impl Reading {
    fn begin(file: &Given) -> Self {
        let file = file.state.and_then(|_| File::open(&file.file).ok());
        Self { hasher: file.is_some().then(Sha256::new), file }
    }

    /// Reads on to the end, or until it is to `stop`.
    fn go_on(&mut self, stop: &AtomicBool) {
        let (Some(file), Some(hasher)) = (&mut self.file, &mut self.hasher) else { return };
        let mut piece = vec![0; PIECE];
        while !stop.load(Ordering::Relaxed) {
            match file.read(&mut piece) {
                Ok(0) => {
                    self.file = None;
                    return;
                }
                Ok(count) => hasher.update(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    *self = Self { file: None, hasher: None };
                    return;
                }
            }
        }
    }

    /// In hexadecimal digits, if all of it was read.
    fn digest(self) -> Option<String> {
        let digest = self.hasher?.finalize();
        Some(digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}
