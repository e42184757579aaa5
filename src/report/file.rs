use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the report {path} cannot be written")]
pub struct ReportError {
    /// Where it was to go.
    pub path: PathBuf,
    /// What the host said.
    pub source: io::Error,
}

/// Finds out whether a report can be written to `path`, and leaves no trace.
///
/// # Errors
/// [`ReportError`] if its folder is not there or not ours to write in.
pub fn check(path: &Path) -> Result<(), ReportError> {
    let failed = |source: io::Error| ReportError { path: path.to_owned(), source };
    let target = if is_stream(path) { path.to_owned() } else { folder(path) };
    if path.is_dir() || path.file_name().is_none() {
        return Err(failed(Errno::EISDIR.into()));
    }
    access(&target, AccessFlags::W_OK).map_err(|errno| failed(errno.into()))
}

/// Writes a report: whoever reads `path` sees all of it or what was there
/// before. A device or a pipe is written to as it is.
///
/// # Errors
/// [`ReportError`] if the host refuses; what was there before stays.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), ReportError> {
    let failed = |source| ReportError { path: path.to_owned(), source };
    if is_stream(path) {
        let file = File::options().write(true).open(path);
        return file.and_then(|mut file| file.write_all(contents)).map_err(failed);
    }
    // What a link leads to is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = target.file_name().ok_or_else(|| failed(Errno::EISDIR.into()))?;
    let mut name = name.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let fresh = folder(&target).join(name);
    let result = fill(&fresh, contents).and_then(|()| fs::rename(&fresh, &target));
    result.map_err(|error| {
        // If it was never made, there is nothing to remove.
        let _ = fs::remove_file(&fresh);
        failed(error)
    })
}

fn fill(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
