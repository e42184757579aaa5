use std::fmt::Write;
use std::time::{Duration, SystemTime};

use devices::backend::console::plain;
use serde_json::{Value, json};

use super::child::Attempt;
use super::pool::RunResult;
use crate::exit::ExitStatus;
use crate::report::{Case, Fault, Suite};

/// The version of the JSON form: it grows when a key goes or means another
/// thing.
const FORMAT: u32 = 1;
/// How many lines of a failure's output are shown.
const LINES: usize = 20;

/// How a suite went.
pub(super) struct Summary<'a> {
    pub names: &'a [String],
    pub results: &'a [Option<RunResult>],
    pub began: SystemTime,
    pub time: Duration,
}

impl Summary<'_> {
    fn made(&self) -> impl Iterator<Item = (&String, &RunResult)> {
        self.names.iter().zip(self.results).filter_map(|(name, run)| Some((name, run.as_ref()?)))
    }

    /// How many runs were no success.
    pub(super) fn failed(&self) -> usize {
        self.made().filter(|(_, run)| !run.passed()).count()
    }

    fn flaky(&self) -> usize {
        self.made().filter(|(_, run)| run.passed() && run.attempts > 1).count()
    }

    /// The failures with the end of their output, and a last line with numbers.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, run) in self.made().filter(|(_, run)| !run.passed()) {
            let _ = writeln!(text, "\n--- {name}: {}", sentence(&run.last));
            let output = plain(&run.last.output);
            let lines: Vec<_> = output.lines().map(str::trim_end).collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
                let _ = writeln!(text, "    {line}");
            }
        }
        let (made, failed) = (self.made().count(), self.failed());
        let mut numbers = vec![format!("{} ok", made - failed)];
        let more = [
            (failed, "failed"),
            (self.flaky(), "ok only when tried again"),
            (self.names.len() - made, "not made"),
        ];
        for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
            numbers.push(format!("{count} {what}"));
        }
        let (runs, time) = (self.names.len(), self.time.as_secs_f64());
        let s = if runs == 1 { "" } else { "s" };
        let _ = writeln!(text, "\n{runs} run{s} in {time:.1}s: {}", numbers.join(", "));
        text
    }

    /// One JSON object.
    pub(super) fn to_json(&self) -> String {
        let run = |(name, run): (&String, &RunResult)| {
            json!({
                "name": name,
                "ok": run.passed(),
                "status": run.last.status,
                "sentence": sentence(&run.last),
                "attempts": run.attempts,
                "duration": run.last.time.as_secs_f64(),
                "output_tail": plain(&run.last.output),
                "report": run.last.report,
            })
        };
        let runs: Vec<Value> = self.made().map(run).collect();
        let all = json!({
            "format": FORMAT,
            "kiln": env!("CARGO_PKG_VERSION"),
            "began": humantime::format_rfc3339_millis(self.began).to_string(),
            "duration": self.time.as_secs_f64(),
            "planned": self.names.len(),
            "failed": self.failed(),
            "flaky": self.flaky(),
            "runs": runs,
        });
        format!("{all:#}\n")
    }

    pub(super) fn to_junit(&self) -> Suite {
        let case = |(name, run): (&String, &RunResult)| Case {
            name: name.clone(),
            time: run.last.time,
            fault: (!run.passed()).then(|| Fault {
                is_error: [ExitStatus::Failed, ExitStatus::Usage]
                    .iter()
                    .any(|status| i32::from(status.code()) == run.last.status),
                kind: word(&run.last).to_owned(),
                message: sentence(&run.last),
            }),
            output: plain(&run.last.output),
            remarks: match run.attempts {
                1 => String::new(),
                attempts => format!("attempts: {attempts}"),
            },
        };
        let cases = self.made().map(case).collect();
        Suite { name: "kiln test".into(), began: self.began, time: self.time, cases }
    }
}

/// A word for a line about a run.
pub(super) fn verdict_word(run: &RunResult) -> &'static str {
    match (run.passed(), run.attempts) {
        (true, 1) => "ok",
        (true, _) => "flaky",
        (false, _) => "FAIL",
    }
}

/// What its report calls it.
fn word(attempt: &Attempt) -> &str {
    let word = attempt.report.as_ref().and_then(|report| report["verdict"].as_str());
    word.unwrap_or("failed")
}

/// What became of a run, on one line: what its report says, or its last line.
pub(super) fn sentence(attempt: &Attempt) -> String {
    let told = attempt.report.as_ref().and_then(|report| report["sentence"].as_str());
    if let Some(told) = told.filter(|told| !told.is_empty()) {
        return told.chars().filter(|c| !c.is_control()).collect();
    }
    let output = plain(&attempt.output);
    match output.lines().rfind(|line| !line.trim().is_empty()) {
        Some(last) => last.chars().filter(|c| !c.is_control()).collect(),
        None => format!("it ended with status {}", attempt.status),
    }
}
