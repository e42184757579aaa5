//! `kiln test`: one run for each combination of a matrix, each a process of
//! its own, some at a time.

mod axis;
mod child;
mod folder;
mod matrix;
mod pool;
mod progress;
mod summary;
#[cfg(test)]
mod tests;

pub use matrix::{Matrix, MatrixError};

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime};

use vmm_core::sys::signal::{Order, Signals};

use crate::cli::TestArgs;
use crate::exit::ExitStatus;
use crate::report::{self, ReportError};
use child::Children;
use folder::Folder;
use pool::{News, Pool};
use progress::Progress;
use summary::Summary;

/// How often a terminal's lines are drawn anew.
const REDRAW: Duration = Duration::from_millis(200);

/// Why a suite cannot be run, or its result not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The matrix is wrong.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// A report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The host refused something.
    #[error("the host refuses to {what}")]
    Host {
        /// What was asked, as a verb.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

impl SuiteError {
    /// The exit status that tells it.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::Matrix(MatrixError::Read { .. }) | Self::Report(_) | Self::Host { .. } => {
                ExitStatus::Failed
            }
            Self::Matrix(_) => ExitStatus::Usage,
        }
    }
}

/// Runs the suite that `args` describe and prints to stdout how it goes.
///
/// # Errors
/// [`SuiteError`] if it cannot be run or told.
pub fn run(args: &TestArgs) -> Result<ExitStatus, SuiteError> {
    let matrix = Matrix::read(&args.matrix)?;
    args.report.iter().chain(&args.junit).try_for_each(|path| report::check(path))?;
    let host = |what| move |source| SuiteError::Host { what, source };
    let signals = Signals::block().map_err(host("take signals"))?;
    let (began, start) = (SystemTime::now(), Instant::now());
    let plan = matrix.plan();
    let names: Vec<_> = plan.iter().map(|run| run.name.clone()).collect();
    let children = Children::default();
    let folder = Folder::new().map_err(host("make a temporary folder"))?;
    let pool = Pool { plan: &plan, jobs: args.jobs(), retry: args.retry, folder: folder.path() };
    let mut progress = Progress::new(&names, io::stdout().is_terminal());
    let mut ended_by = None;
    let results = pool.run(&children, |news| {
        if let Ok(Some(Order::End(signal))) = signals.next() {
            ended_by.get_or_insert(signal);
            children.stop();
        }
        print(&match news {
            Some(News::Started(index)) => progress.started(index),
            Some(News::Ended(index, result)) => progress.ended(index, result),
            None => progress.tick(),
        });
    });
    let results = results.map_err(host("start a run"))?;
    let summary = Summary { names: &names, results: &results, began, time: start.elapsed() };
    print(&progress.finish());
    print(&summary.text());
    if let Some(path) = &args.report {
        report::write(path, summary.to_json().as_bytes())?;
    }
    if let Some(path) = &args.junit {
        report::write(path, summary.to_junit().to_xml().as_bytes())?;
    }
    Ok(match ended_by {
        Some(signal) => ExitStatus::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
        None if summary.failed() > 0 => ExitStatus::TestsFailed,
        None => ExitStatus::Success,
    })
}

/// Writes to stdout; whoever closed it does not want to know.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
