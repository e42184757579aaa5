use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BadValue, ConfigError};

/// Where a console of the guest goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Console {
    /// To standard output, and from standard input.
    Stdio,
    /// Nowhere; what the guest says is still watched for a panic.
    Off,
    /// To standard error, without input.
    Stderr,
    /// To this file, made or emptied at start; no input.
    File(PathBuf),
}

/// A console of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The serial port, `ttyS0`.
    Serial,
    /// The virtio console, `hvc0`.
    Hvc,
}

impl Console {
    /// Reads `stdio`, `stderr`, `off` or `file=PATH`, for the virtio console behind
    /// `hvc=`.
    ///
    /// # Errors
    /// If it is none of these, or the path is empty.
    pub fn parse(value: &OsStr) -> Result<(Port, Self), BadValue> {
        let bytes = value.as_bytes();
        let (port, bytes) = match bytes.strip_prefix(b"hvc=") {
            Some(rest) => (Port::Hvc, rest),
            None => (Port::Serial, bytes),
        };
        let console = match bytes {
            b"stdio" => Self::Stdio,
            b"off" => Self::Off,
            b"stderr" => Self::Stderr,
            b"file=" => return Err(BadValue::new("the path is empty")),
            bytes => match bytes.strip_prefix(b"file=") {
                Some(path) => Self::File(PathBuf::from(OsStr::from_bytes(path))),
                None => {
                    let known =
                        "a console is stdio, stderr, off or file=PATH, or hvc= and one of these";
                    return Err(BadValue::new(known));
                }
            },
        };
        Ok((port, console))
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdio | Self::Stderr | Self::Off => None,
        }
    }
}

/// Where the consoles of a guest go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consoles {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<Console>,
    /// The virtio console; the guest has none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hvc: Option<Console>,
}

impl Consoles {
    /// The consoles that were given, in any order.
    ///
    /// # Errors
    /// [`ConfigError::ConsoleTwice`] if there are two for a port.
    pub fn collect(given: Vec<(Port, Console)>) -> Result<Self, ConfigError> {
        let mut consoles = Self::default();
        for (port, console) in given {
            let slot = match port {
                Port::Serial => &mut consoles.serial,
                Port::Hvc => &mut consoles.hvc,
            };
            if slot.replace(console).is_some() {
                return Err(ConfigError::ConsoleTwice(port));
            }
        }
        Ok(consoles)
    }

    /// Where the serial port goes. If nobody said, that is standard output,
    /// or nowhere if there is a virtio console.
    pub fn serial(&self) -> &Console {
        match (&self.serial, &self.hvc) {
            (Some(console), _) => console,
            (None, None) => &Console::Stdio,
            (None, Some(_)) => &Console::Off,
        }
    }

    /// Has the kernel's messages keep off a command's streams where nobody said
    /// where they go: to standard error if they are `wanted`, else nowhere.
    pub fn stay_out_of_the_way(&mut self, wanted: bool) {
        let quiet = if wanted && self.hvc.is_none() { Console::Stderr } else { Console::Off };
        self.serial.get_or_insert(quiet);
    }

    /// Whether any console goes somewhere.
    pub fn is_shown(&self) -> bool {
        let shown = |console: &Console| *console != Console::Off;
        shown(self.serial()) || self.hvc.as_ref().is_some_and(shown)
    }

    /// Whether one is on standard output.
    pub(super) fn is_on_stdout(&self) -> bool {
        *self.serial() == Console::Stdio || self.hvc == Some(Console::Stdio)
    }

    /// What `console=` on the kernel's command line names: each console that
    /// goes somewhere, and last the one that /dev/console is to be, a
    /// terminal if one is.
    pub(super) fn names(&self) -> &'static [&'static str] {
        match (self.serial(), &self.hvc) {
            (_, None) => &["ttyS0"],
            (Console::Off, Some(_)) => &["hvc0"],
            (Console::Stdio, Some(_)) => &["hvc0", "ttyS0"],
            (Console::File(_) | Console::Stderr, Some(_)) => &["ttyS0", "hvc0"],
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (serial, Some(hvc)) = (self.serial(), &self.hvc) else { return Ok(()) };
        if (serial, hvc) == (&Console::Stdio, &Console::Stdio) {
            return Err(ConfigError::StdioTwice);
        }
        match serial.file() {
            Some(path) if hvc.file() == Some(path) => {
                Err(ConfigError::ConsoleFileTwice(path.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Serial => "the serial port",
            Self::Hvc => "hvc0",
        })
    }
}

#[cfg(test)]
mod tests;
