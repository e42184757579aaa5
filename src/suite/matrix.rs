use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::axis::Axis;
use crate::config::{CpuCount, MemorySize, Timeout};

/// More runs than this are a mistake in the matrix.
const MOST: usize = 100_000;

/// Why a matrix cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// Its file cannot be read.
    #[error("the matrix {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// It is not written as it must be.
    #[error("the matrix {path}: {why}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
}

/// What a command is written as.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a command is a text, or a list of words")]
enum CommandLine {
    /// For a shell.
    Shell(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

impl CommandLine {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Shell(line) => vec!["sh".into(), "-c".into(), line.clone()],
            Self::Words(words) => words.clone(),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Shell(line) => line.clone(),
            Self::Words(words) => words.join(" "),
        }
    }
}

/// What is to be run: each combination of the axes is a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Kernel images; relative paths start at the matrix's folder.
    kernel: Axis<PathBuf>,
    /// Numbers of processors.
    #[serde(default)]
    cpus: Axis<CpuCount>,
    /// Sizes of memory.
    #[serde(default)]
    memory: Axis<MemorySize>,
    /// Words for the kernel's command line.
    #[serde(default)]
    append: Axis<String>,
    /// What to run in the guest.
    #[serde(default)]
    command: Commands,
    /// Initial RAM disks, for every run.
    #[serde(default)]
    initrd: Axis<PathBuf>,
    /// How long a run may last.
    timeout: Option<Timeout>,
    /// Further options of `kiln run`, for every run.
    #[serde(default)]
    options: Vec<String>,
    #[serde(skip)]
    folder: PathBuf,
}

/// One command for a shell, or a list in which each is a line for a shell or a
/// list of words.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a command is a text, or one of a list of texts and of lists of words"
)]
enum Commands {
    One(String),
    Many(Vec<CommandLine>),
}

impl Default for Commands {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Commands {
    fn all(&self) -> Vec<Option<CommandLine>> {
        match self {
            Self::One(line) => vec![Some(CommandLine::Shell(line.clone()))],
            Self::Many(lines) if lines.is_empty() => vec![None],
            Self::Many(lines) => lines.iter().cloned().map(Some).collect(),
        }
    }
}

/// A run of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Tells it from the others.
    pub name: String,
    /// Arguments of `kiln run`, but for the command.
    pub options: Vec<OsString>,
    /// The command and its arguments; empty without one.
    pub command: Vec<String>,
}

impl Matrix {
    /// Reads the matrix in `path`: JSON if its name ends in `.json`, else TOML.
    ///
    /// # Errors
    /// [`MatrixError`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, MatrixError> {
        let text = fs::read_to_string(path)
            .map_err(|source| MatrixError::Read { path: path.to_owned(), source })?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        Self::parse(&text, is_json, path.parent().unwrap_or(Path::new("")))
            .map_err(|why| MatrixError::Wrong { path: path.to_owned(), why })
    }

    /// The same of its text.
    pub(super) fn parse(text: &str, is_json: bool, folder: &Path) -> Result<Self, String> {
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut matrix: Self = if is_json {
            serde_json::from_str(text).map_err(|e| one_line(e.to_string()))?
        } else {
            toml::from_str(text).map_err(|e| {
                let line = e.span().map(|span| text[..span.start].matches('\n').count() + 1);
                let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
                one_line(format!("{place}{}", e.message()))
            })?
        };
        matrix.folder = folder.to_owned();
        match matrix.count() {
            0 => Err("no kernel is given".into()),
            count if count > MOST => Err(format!("{count} runs are more than {MOST}")),
            _ => Ok(matrix),
        }
    }

    fn count(&self) -> usize {
        let axes = [
            self.kernel.values().len(),
            self.cpus.or_default().len(),
            self.memory.or_default().len(),
            self.append.or_default().len(),
            self.command.all().len(),
        ];
        axes.iter().fold(1, |product: usize, axis| product.saturating_mul(*axis))
    }

    /// All runs, the last axis changing fastest.
    pub(super) fn plan(&self) -> Vec<Planned> {
        let mut plan = Vec::new();
        for kernel in self.kernel.values() {
            for cpus in self.cpus.or_default() {
                for memory in self.memory.or_default() {
                    for append in self.append.or_default() {
                        for command in self.command.all() {
                            let point = Point { kernel, cpus, memory, append, command };
                            plan.push(self.planned(&point));
                        }
                    }
                }
            }
        }
        plan
    }

    fn planned(&self, point: &Point<'_>) -> Planned {
        let path = |path: &Path| self.folder.join(path).into_os_string();
        let mut options: Vec<OsString> = vec!["--kernel".into(), path(point.kernel)];
        let mut words = vec![self.kernel_name(point.kernel)];
        for initrd in self.initrd.values() {
            options.extend(["--initrd".into(), path(initrd)]);
        }
        let mut axis = |name: &str, option: &str, value: Option<String>, is_axis: bool| {
            if let Some(value) = value {
                options.extend([option.into(), value.clone().into()]);
                if is_axis {
                    words.push(format!("{name}={value}"));
                }
            }
        };
        let many = |count: usize| count > 1;
        let cpus = point.cpus.map(ToString::to_string);
        axis("cpus", "--cpus", cpus, many(self.cpus.values().len()));
        let memory = point.memory.map(ToString::to_string);
        axis("memory", "--memory", memory, many(self.memory.values().len()));
        let append = point.append.filter(|text| !text.is_empty()).cloned();
        axis("append", "--append", append, many(self.append.values().len()));
        let timeout = self.timeout.map(|timeout| timeout.to_string());
        axis("timeout", "--timeout", timeout, false);
        options.extend(self.options.iter().map(OsString::from));
        let mut name = words.join(" ");
        if let Some(command) = &point.command {
            name = format!("{name}: {}", command.name());
        }
        let command = point.command.as_ref().map(CommandLine::words).unwrap_or_default();
        Planned { name, options, command }
    }

    /// The file's name, with as much of the path as tells it from the others.
    fn kernel_name(&self, kernel: &Path) -> String {
        let file = kernel.file_name();
        let is_alone = self.kernel.values().iter().filter(|k| k.file_name() == file).count() == 1;
        match file {
            Some(file) if is_alone => file.to_string_lossy().into_owned(),
            _ => kernel.to_string_lossy().into_owned(),
        }
    }
}

struct Point<'a> {
    kernel: &'a Path,
    cpus: Option<&'a CpuCount>,
    memory: Option<&'a MemorySize>,
    append: Option<&'a String>,
    command: Option<CommandLine>,
}
