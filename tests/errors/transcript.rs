//! Transcripts of commands: read, replayed, compared.
//!
//! ```text
//! # a comment
//! $ kiln run --kernel nothing
//! kiln: what stderr says
//! [status 125]
//! ```
//!
//! Commands run in a folder of their own with [`fixtures`]. The prompt
//! `nobody$` runs one without privileges. `{5000x}` stands for so many x.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use kiln::config::HostLimits;

use super::fixtures;

/// Where the transcripts are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A file of commands and what they are to say.
pub(super) struct Transcript {
    path: PathBuf,
    text: String,
}

impl Transcript {
    /// Reads the transcript of that name.
    pub(super) fn read(name: &str) -> Self {
        let path = folder().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, text }
    }

    /// Runs every command again and compares.
    ///
    /// # Panics
    /// If anything differs, or a message is not fit for a person.
    pub(super) fn replay(&self) {
        let place = fixtures::make();
        let mut now = String::new();
        let mut commands = 0;
        for line in self.text.lines() {
            if line.is_empty() || line.starts_with('#') {
                writeln!(now, "{line}").unwrap();
            } else if let Some((prompt, words)) = line.split_once("$ kiln ") {
                commands += 1;
                writeln!(now, "{line}").unwrap();
                now.push_str(&run(place.path(), prompt == "nobody", words));
            }
        }
        assert_ne!(commands, 0, "{} has no command", self.path.display());
        if std::env::var_os("KILN_BLESS").is_some() {
            fs::write(&self.path, &now).unwrap();
        } else {
            assert!(now == self.text, "{}", difference(&self.path, &self.text, &now));
        }
    }
}

/// What the command says and how it ends, in the transcript's form.
fn run(place: &Path, as_nobody: bool, words: &str) -> String {
    let mut command = fixtures::kiln(place);
    command.args(words.split(' ').map(expand));
    if as_nobody {
        fixtures::as_nobody(&mut command);
    }
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("messages are UTF-8");
    assert!(output.stdout.is_empty(), "`{words}` wrote to stdout");
    fit_for_a_person(words, &said);
    let said = said.replace(&host_memory(), "{host}");
    let status = match output.status.code() {
        Some(code) => code.to_string(),
        None => output.status.to_string(),
    };
    format!("{said}[status {status}]\n")
}

/// One word of a command, with `{5000x}` written out.
fn expand(word: &str) -> String {
    let Some((before, rest)) = word.split_once('{') else { return word.to_owned() };
    let Some((count, after)) = rest.split_once("x}") else { return word.to_owned() };
    let count = count.parse().expect("a number stands before x}");
    format!("{before}{}{after}", "x".repeat(count))
}

fn fit_for_a_person(words: &str, said: &str) {
    for ugly in ["panicked", "Os {", "Err(", "os error", "internal error"] {
        assert!(!said.contains(ugly), "`{words}` says {ugly:?}: {said}");
    }
    assert!(said.lines().count() <= 2, "`{words}` says more than two lines: {said}");
    assert!(said.starts_with("kiln: "), "`{words}` says {said:?}");
}

/// This host's memory, as messages name it.
fn host_memory() -> String {
    HostLimits::read().expect("the host tells its memory").memory.rounded()
}

fn difference(path: &Path, expected: &str, now: &str) -> String {
    let mut text = format!("{} does not hold any more:\n", path.display());
    let was: Vec<_> = expected.lines().collect();
    let is: Vec<_> = now.lines().collect();
    for line in &was {
        let mark = if is.contains(line) { ' ' } else { '-' };
        writeln!(text, "{mark}{line}").unwrap();
    }
    for line in is.iter().filter(|line| !was.contains(line)) {
        writeln!(text, "+{line}").unwrap();
    }
    text
}
