//! What is written about a run for programs to read: JSON, and the XML of
//! JUnit that continuous integration shows.

mod file;
mod hash;
mod junit;
mod run;
#[cfg(test)]
mod tests;

pub use file::{ReportError, check, write};
pub use junit::{Case, Fault, Suite};
pub use run::RunReport;
