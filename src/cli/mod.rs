//! The command line: arguments as typed, and the machine they describe.

mod args;
mod resolve;
#[cfg(test)]
mod tests;
mod usage;

pub use args::{Args, CheckArgs, Command, RunArgs};
pub use resolve::ArgsError;
pub use usage::{Usage, parse};
