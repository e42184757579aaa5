use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Args;
use crate::exit::{Chain, ExitStatus};

/// Text to print instead of running anything.
#[derive(Debug, PartialEq, Eq)]
pub enum Usage {
    /// Asked for, with `--help` or `--version`: for stdout.
    Answer(String),
    /// What is wrong with the command line, in a sentence: for stderr.
    Wrong(String),
}

impl Usage {
    /// The exit status that goes with it.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::Answer(_) => ExitStatus::Success,
            Self::Wrong(_) => ExitStatus::Usage,
        }
    }
}

/// Whether a command line asks for `kiln run`, right or not: known long before
/// it is parsed.
pub fn is_to_run(words: impl IntoIterator<Item = OsString>) -> bool {
    words.into_iter().nth(1).is_some_and(|word| word == "run")
}

/// Parses a command line, the program's name first.
///
/// # Errors
/// [`Usage`] has what to print instead.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Args, Usage> {
    let words: Vec<_> = words.into_iter().collect();
    // As from `kiln run -- $COMMAND`, which is to run something.
    if words.last().is_some_and(|word| word == "--") && is_to_run(words.iter().cloned()) {
        return Err(Usage::Wrong("no command stands behind the -- (see --help)".into()));
    }
    Args::try_parse_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Usage::Answer(error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Usage::Wrong(format!("a command is missing\n\n{error}"))
        }
        ErrorKind::ValueValidation => Usage::Wrong(bad_value(&error)),
        _ => Usage::Wrong(first_sentence(&error)),
    })
}

/// `--memory abc: a size is …` out of clap's pieces.
fn bad_value(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // "--memory <SIZE>"
    let option = text(ContextKind::InvalidArg).split(' ').next().unwrap_or_default();
    let value = match text(ContextKind::InvalidValue) {
        "" => "''",
        value => value,
    };
    match std::error::Error::source(error) {
        Some(reason) => format!("{option} {value}: {}", Chain(reason)),
        None => format!("{option} {value} is no valid value"),
    }
}

/// What clap says, without its "error: " and the usage that follows.
fn first_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let mut sentence = first.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(tip) = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: ")) {
        sentence.push_str("; ");
        sentence.push_str(tip.lines().next().unwrap_or_default());
    }
    sentence.push_str(" (see --help)");
    sentence
}
