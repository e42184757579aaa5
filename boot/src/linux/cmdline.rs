use std::fmt;
use std::ops::Deref;

/// A kernel command line, kept byte for byte as it was given.
///
/// It holds no NUL, which ends it, and no newline. How long it may be is up
/// to the kernel: [`crate::load`] checks that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cmdline(String);

/// Why a command line cannot be given to a kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmdlineError {
    /// Longer than this kernel takes.
    #[error(
        "the kernel command line is too long: it has {length} bytes, this kernel takes at most \
         {limit}"
    )]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// What the kernel takes, in bytes without the NUL.
        limit: usize,
    },
    /// A byte in it ends it, or a line.
    #[error("the kernel command line has a {what} at byte {position}; it must be one line of text")]
    Forbidden {
        /// Which one.
        what: &'static str,
        /// Its offset from the start.
        position: usize,
    },
}

impl Cmdline {
    /// Takes a command line as it is.
    ///
    /// # Errors
    /// [`CmdlineError::Forbidden`] if there is a NUL or a newline in it.
    pub fn new(text: impl Into<String>) -> Result<Self, CmdlineError> {
        let text = text.into();
        check_bytes(&text)?;
        Ok(Self(text))
    }

    /// Adds `words` after a space, before any ` -- `: what follows that
    /// belongs to init.
    ///
    /// # Errors
    /// [`CmdlineError::Forbidden`] if there is a NUL or a newline in them.
    pub fn append(&mut self, words: &str) -> Result<(), CmdlineError> {
        check_bytes(words)?;
        if words.is_empty() {
            return Ok(());
        }
        let end = end_of_kernel_words(&self.0);
        let (kernel, init) = self.0.split_at(end);
        let space = if kernel.is_empty() || kernel.ends_with([' ', '\t']) { "" } else { " " };
        // Only an init part at the very start has no space of its own.
        let gap = if init.is_empty() || init.starts_with([' ', '\t']) { "" } else { " " };
        self.0 = format!("{kernel}{space}{words}{gap}{init}");
        Ok(())
    }

    /// The whole line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the words for the kernel end: at the ` -- ` that starts the words
/// for init, or at the end. Quotes hide one, as they do from Linux.
fn end_of_kernel_words(line: &str) -> usize {
    let mut quoted = false;
    let mut word = 0;
    let mut end = 0;
    for (at, byte) in line.bytes().chain([b' ']).enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => {
                if &line[word..at] == "--" {
                    return end;
                }
                if at > word {
                    end = at;
                }
                word = at + 1;
            }
            _ => {}
        }
    }
    line.len()
}

/// Refuses a line that this kernel does not take whole.
pub(crate) fn check(line: &str, limit: usize) -> Result<(), CmdlineError> {
    check_bytes(line)?;
    match line.len() {
        length if length > limit => Err(CmdlineError::TooLong { length, limit }),
        _ => Ok(()),
    }
}

fn check_bytes(text: &str) -> Result<(), CmdlineError> {
    match text.bytes().position(|byte| byte == 0 || byte == b'\n') {
        None => Ok(()),
        Some(position) => {
            let what = if text.as_bytes()[position] == 0 { "NUL" } else { "newline" };
            Err(CmdlineError::Forbidden { what, position })
        }
    }
}

impl Deref for Cmdline {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cmdline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
