use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Pattern, Timeout};

/// What a run is judged by, beside how the guest ends and `--timeout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictConfig {
    /// How long the guest may take until its first process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_timeout: Option<Timeout>,
    /// A line of the console that matches one of them fails the run and ends it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fail_on: Vec<Pattern>,
    /// A line of the console that matches one of them makes the run a success
    /// and ends it; one that ends without is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub succeed_on: Vec<Pattern>,
    /// A run in which the kernel warned is no success.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_on_warning: bool,
    /// How long the consoles may be silent before a note says where the guest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after: Option<Timeout>,
    /// The kernel as an ELF file with symbols, or its `System.map`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmlinux: Option<PathBuf>,
    /// Where a report of the run goes, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<PathBuf>,
    /// Where a report of the run goes, as JUnit's XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub junit: Option<PathBuf>,
}
