//! The command line: arguments as typed, and the machine they describe.

mod args;
mod resolve;
mod test_args;
#[cfg(test)]
mod tests;
mod usage;
mod verdict_args;

pub use args::{Args, CheckArgs, Command, RunArgs};
pub use resolve::ArgsError;
pub use test_args::TestArgs;
pub use usage::{Usage, is_to_run, parse};
pub use verdict_args::VerdictArgs;
