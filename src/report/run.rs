use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use devices::backend::console::plain;
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use super::file::{self, ReportError};
use super::hash::{Given, Hashing};
use super::junit::{Case, Fault, Suite};
use crate::config::{VerdictConfig, VmConfig};
use crate::exit::ExitStatus;
use crate::machine::{Milestone, Outcome, Phases};

/// The version of the format: it grows when a key goes or means another thing.
const FORMAT: u32 = 1;

/// A report of one run, which grows as more is known. It can be written at any
/// time: what a run did not come to is left out.
#[derive(Debug, Serialize)]
pub struct RunReport {
    format: u32,
    kiln: &'static str,
    name: Option<String>,
    verdict: String,
    status: u8,
    sentence: String,
    hint: Option<String>,
    began: String,
    duration: f64,
    phases: PhaseTimes,
    kernel: Option<Given>,
    initrds: Vec<Given>,
    command: Option<Vec<String>>,
    cmdline: Option<String>,
    cpus: Option<u8>,
    memory: Option<u64>,
    memory_peak: Option<u64>,
    oopses: u32,
    warnings: u32,
    complaint: Option<String>,
    whereabouts: Vec<String>,
    console_tail: String,
    #[serde(skip)]
    to: Destinations,
    #[serde(skip)]
    hashing: Option<Hashing>,
    #[serde(skip)]
    start: SystemTime,
    #[serde(skip)]
    time: Duration,
}

#[derive(Debug, Default)]
struct Destinations {
    json: Option<PathBuf>,
    junit: Option<PathBuf>,
}

/// How long each part of a run took, in seconds. One that the run did not come
/// to is `None`; one in which it ended lasts to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct PhaseTimes {
    setup: Option<f64>,
    kernel: Option<f64>,
    init: Option<f64>,
    command: Option<f64>,
}

impl RunReport {
    /// The report of a run that begins now, for the files that `config` names.
    pub fn begin(config: &VerdictConfig) -> Self {
        let start = SystemTime::now();
        Self {
            format: FORMAT,
            kiln: env!("CARGO_PKG_VERSION"),
            name: None,
            verdict: "failed".into(),
            status: ExitStatus::Failed.code(),
            sentence: String::new(),
            hint: None,
            began: humantime::format_rfc3339_millis(start).to_string(),
            duration: 0.0,
            phases: PhaseTimes::default(),
            kernel: None,
            initrds: Vec::new(),
            command: None,
            cmdline: None,
            cpus: None,
            memory: None,
            memory_peak: None,
            oopses: 0,
            warnings: 0,
            complaint: None,
            whereabouts: Vec::new(),
            console_tail: String::new(),
            to: Destinations { json: config.report.clone(), junit: config.junit.clone() },
            hashing: None,
            start,
            time: Duration::ZERO,
        }
    }

    /// What may help, if anything.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Finds out whether it can be written where it is wanted.
    ///
    /// # Errors
    /// [`ReportError`] if not.
    pub fn check(&self) -> Result<(), ReportError> {
        self.to.json.iter().chain(&self.to.junit).try_for_each(|path| file::check(path))
    }

    /// Notes what is to be run.
    pub fn describe(&mut self, config: &VmConfig) {
        if self.to.json.is_none() && self.to.junit.is_none() {
            return;
        }
        self.name = config.name.as_ref().map(ToString::to_string);
        self.kernel = Some(Given::note(&config.kernel));
        self.initrds = config.initrds.iter().map(|path| Given::note(path)).collect();
        self.command = config.command.as_ref().map(|command| {
            command.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect()
        });
        self.cmdline = Some(config.cmdline.clone());
        self.cpus = Some(config.cpus.get());
        self.memory = Some(config.memory.bytes());
        if self.to.json.is_some() {
            let hashing = Hashing::begin(self.kernel.iter().chain(&self.initrds));
            self.hashing = hashing
                .inspect_err(|e| log::warn!("the report has no hashes: no thread is left: {e}"))
                .ok();
        }
    }

    /// Notes how it went.
    pub fn observe(&mut self, outcome: &Outcome, hint: Option<String>) {
        self.verdict = outcome.verdict.word().into();
        self.hint = hint;
        self.oopses = outcome.oopses;
        self.warnings = outcome.warnings;
        self.complaint.clone_from(&outcome.complaint);
        self.whereabouts.clone_from(&outcome.whereabouts);
        self.console_tail = plain(&outcome.tail);
    }

    /// Notes the end, with the sentence that tells of it, and writes all of it
    /// to where it is wanted.
    ///
    /// # Errors
    /// [`ReportError`] if one cannot be written; the other one may be.
    pub fn end(
        &mut self,
        status: ExitStatus,
        sentence: &str,
        phases: &Phases,
    ) -> Result<(), ReportError> {
        self.status = status.code();
        self.sentence = sentence.to_owned();
        self.time = phases.elapsed();
        self.duration = self.time.as_secs_f64();
        self.phases = PhaseTimes::of(phases, self.time);
        // The kernel gives KiB (getrusage(2)).
        let peak = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| usage.max_rss());
        self.memory_peak = peak.and_then(|kib| u64::try_from(kib).ok()).map(|kib| kib << 10);
        let json = match &self.to.json {
            Some(path) => {
                if let Some(hashing) = self.hashing.take() {
                    hashing.finish(self.kernel.iter_mut().chain(&mut self.initrds));
                }
                file::write(path, self.to_json().as_bytes())
            }
            None => Ok(()),
        };
        if let Some(path) = &self.to.junit {
            file::write(path, self.to_junit(status).to_xml().as_bytes())?;
        }
        json
    }

    /// The report as one JSON object, in lines.
    pub(super) fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("text and numbers have a JSON form");
        text + "\n"
    }

    pub(super) fn to_junit(&self, status: ExitStatus) -> Suite {
        let kernel = self.kernel.as_ref().map_or("run", |kernel| kernel.file_name());
        let is_error = matches!(status, ExitStatus::Failed | ExitStatus::Usage);
        let fault = (!status.is_success()).then(|| Fault {
            is_error,
            kind: self.verdict.clone(),
            message: self.sentence.clone(),
        });
        let mut remarks = self.whereabouts.clone();
        remarks.extend(self.hint.iter().map(|hint| format!("hint: {hint}")));
        let case = Case {
            name: self.name.clone().unwrap_or_else(|| kernel.to_owned()),
            time: self.time,
            fault,
            output: self.console_tail.clone(),
            remarks: remarks.join("\n"),
        };
        Suite { name: "kiln".into(), began: self.start, time: self.time, cases: vec![case] }
    }
}

impl PhaseTimes {
    fn of(phases: &Phases, end: Duration) -> Self {
        let marks = [
            Some(Duration::ZERO),
            phases.at(Milestone::KernelStarted),
            phases.at(Milestone::InitStarted),
            phases.at(Milestone::CommandStarted),
            phases.at(Milestone::CommandEnded),
        ];
        let time = |from: usize| {
            let began = marks[from]?;
            let ended = marks[from + 1..].iter().flatten().next().copied().unwrap_or(end);
            Some(ended.saturating_sub(began).as_secs_f64())
        };
        Self { setup: time(0), kernel: time(1), init: time(2), command: time(3) }
    }
}
