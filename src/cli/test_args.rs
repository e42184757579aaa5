use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use crate::config::BadValue;

/// Arguments of `kiln test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// What to run: a TOML file, or JSON if its name ends in .json (docs/ci.md)
    #[arg(value_name = "MATRIX")]
    pub matrix: PathBuf,

    /// Runs at a time [default: one for each processor of the host]
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = jobs)]
    pub jobs: Option<NonZeroUsize>,

    /// Try a run that failed up to N times more
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true,
        value_parser = retry)]
    pub retry: u32,

    /// Write a report of all runs here, as JSON
    #[arg(long, value_name = "PATH")]
    pub report: Option<PathBuf>,

    /// Write a report of all runs here, as JUnit's XML
    #[arg(long, value_name = "PATH")]
    pub junit: Option<PathBuf>,
}

fn jobs(text: &str) -> Result<NonZeroUsize, BadValue> {
    text.parse().map_err(|_| BadValue::new("runs at a time are a number, 1 or more"))
}

fn retry(text: &str) -> Result<u32, BadValue> {
    text.parse().map_err(|_| BadValue::new("further tries are a number, 0 or more"))
}

impl TestArgs {
    /// How many runs there are at a time.
    pub fn jobs(&self) -> usize {
        let jobs = self.jobs.map_or_else(thread::available_parallelism, Ok);
        jobs.map_or(1, NonZeroUsize::get)
    }
}
