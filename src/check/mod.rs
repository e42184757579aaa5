//! `kiln check`: what this host can do, and what to do about what it cannot.

mod host;
mod kvm;
mod report;
#[cfg(test)]
mod tests;

pub use report::{Item, Report, State};
