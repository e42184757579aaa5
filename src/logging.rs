//! Where Kiln's own words go: log lines to stderr or a file, never to stdout,
//! and one line about a bug of its own.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use log::{Level, LevelFilter, Log, Metadata, Record};

use vmm_core::sys::terminal;

use crate::config::VmName;

#[cfg(test)]
mod tests;

/// Why the log file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--log-file {path} cannot be written")]
pub struct LogFileError {
    /// The file.
    pub path: PathBuf,
    /// What the host said.
    pub source: io::Error,
}

/// The start of every line on stderr: `kiln: ` or `kiln[NAME]: `.
#[derive(Clone, Debug)]
pub struct Prefix(Option<VmName>);

impl Prefix {
    /// The prefix for the machine of that name.
    pub fn new(name: Option<VmName>) -> Self {
        Self(name)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "kiln[{name}]: "),
            None => f.write_str("kiln: "),
        }
    }
}

/// Writes `text` and a line end to stderr in one piece. A closed stderr is
/// nobody's error.
pub fn say(prefix: &Prefix, text: impl fmt::Display) {
    let text = harmless(&text.to_string());
    let _ = to_stderr(format!("{prefix}{text}\n"));
}

/// A terminal that is raw for the guest does not move to the left by itself.
fn to_stderr(mut lines: String) -> io::Result<()> {
    if terminal::is_raw() && io::stderr().is_terminal() {
        lines = lines.replace('\n', "\r\n");
    }
    io::stderr().write_all(lines.as_bytes())
}

/// Takes out the numbers that the standard library adds to the operating
/// system's own words.
fn without_error_numbers(text: &str) -> String {
    const START: &str = " (os error ";
    let mut pieces = text.split(START);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(')') {
            Some((number, rest)) if number.parse::<i32>().is_ok() => plain.push_str(rest),
            _ => plain.extend([START, piece]),
        }
    }
    plain
}

/// Writes out what would steer a terminal: file names and a guest's last words
/// may hold anything. Line ends stay.
fn harmless(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n';
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Starts logging. `verbosity` is how often `-v` was given: 0 shows warnings,
/// 1 what happens, 2 and more details.
///
/// # Errors
/// [`LogFileError`] if `file` cannot be opened for appending.
pub fn start(prefix: Prefix, file: Option<&Path>, verbosity: u8) -> Result<(), LogFileError> {
    let target = match file {
        None => Target::Stderr,
        Some(path) => Target::File(Mutex::new(append_to(path)?)),
    };
    log::set_max_level(match verbosity {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    });
    // Fails only if there is a logger already, which then stays.
    let _ = log::set_boxed_logger(Box::new(Logger { prefix, target }));
    Ok(())
}

fn append_to(path: &Path) -> Result<File, LogFileError> {
    File::options()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|source| LogFileError { path: path.to_owned(), source })
}

struct Logger {
    prefix: Prefix,
    target: Target,
}

enum Target {
    Stderr,
    File(Mutex<File>),
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = if is_of_guests(metadata) { Level::Debug } else { metadata.level() };
        level <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = harmless(&without_error_numbers(&record.args().to_string()));
        let line = format!("{}{}: {text}\n", self.prefix, level(record.level()));
        // A log that cannot be written must not stop the guest.
        let _ = match &self.target {
            Target::Stderr => to_stderr(line),
            Target::File(file) => {
                file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
            }
        };
    }

    fn flush(&self) {}
}

/// Whether a line may be a guest's doing, and so may come without end: of the
/// library that serves shared directories.
fn is_of_guests(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("fuse_backend_rs")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Makes a bug of Kiln's say one plain line, with the place for the report.
///
/// What ran before is still called by `also`, first: it puts the terminal
/// back.
pub fn install_panic_hook(also: fn()) {
    panic::set_hook(Box::new(move |info| {
        also();
        say(&Prefix(None), bug_report(info));
    }));
}

fn bug_report(info: &PanicHookInfo<'_>) -> String {
    let current = thread::current();
    let thread = current.name().unwrap_or("without a name");
    let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
    let payload = info.payload();
    let text = match payload.downcast_ref::<&str>() {
        Some(text) => text,
        None => payload.downcast_ref::<String>().map_or("", String::as_str),
    };
    format!(
        "internal error in thread {thread}{}: {}; please report it",
        place.unwrap_or_default(),
        words(text)
    )
}

/// The first line of a message, without a value's debug form at its end.
fn words(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    match line.split_once(" {") {
        // "why it cannot fail: Os { code: 2, … }"
        Some((before, _)) => before.rsplit_once(": ").map_or(before, |(words, _)| words),
        None => line,
    }
}
