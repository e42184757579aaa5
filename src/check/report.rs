use std::fmt;

use serde::{Serialize, Serializer};
use vmm_core::kvm::HostKind;

use super::{host, kvm};
use crate::exit::ExitStatus;

/// How a thing stands on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There, whole.
    Ok,
    /// There in part, or for some users only.
    Limited,
    /// Not there.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// A stable name for programs; capabilities have KVM's own, in capitals.
    pub id: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Item {
    /// All is well.
    pub fn ok(id: &'static str, detail: impl Into<String>) -> Self {
        Self { id, state: State::Ok, detail: detail.into(), remedy: None }
    }

    /// There in part; `remedy` says what to do.
    pub fn limited(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { id, state: State::Limited, detail: detail.into(), remedy }
    }

    /// Not there; `remedy` says what to do.
    pub fn missing(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Missing, ..Self::limited(id, detail, remedy) }
    }
}

/// What this host can do. Its `Display` has a line for each thing, and below
/// it the remedy if one is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether a guest can run here at all.
    pub can_run: bool,
    /// What stands behind /dev/kvm.
    #[serde(serialize_with = "host_kind")]
    pub host: HostKind,
    /// Everything that was looked at, in order.
    pub checks: Vec<Item>,
}

impl Report {
    /// Looks at this host.
    pub fn of_this_host() -> Self {
        let (host, can_run, mut checks) = kvm::look();
        checks.extend(host::look());
        Self { can_run, host, checks }
    }

    /// The exit status of `kiln check`.
    pub fn status(&self) -> ExitStatus {
        if self.can_run { ExitStatus::Success } else { ExitStatus::Failed }
    }

    /// The report as one JSON object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("the report has string keys and no map")
    }
}

fn host_kind<S: Serializer>(kind: &HostKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match kind {
        HostKind::Hardware => "hardware",
        HostKind::Software => "software",
        HostKind::Absent => "none",
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|item| item.id.len()).max().unwrap_or(0);
        for Item { id, state, detail, remedy } in &self.checks {
            writeln!(f, "{state:7}  {id:width$}  {detail}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "{:7}  {:width$}  -> {remedy}", "", "")?;
            }
        }
        f.write_str(if self.can_run {
            "Guests can run on this host.\n"
        } else {
            "Guests cannot run on this host.\n"
        })
    }
}
