//! `kiln check`: what this host can do, and what to do about what it cannot.

mod host;
mod kvm;
mod report;
#[cfg(test)]
mod tests;

pub use report::{Item, Report, State};

/// Looks at this host.
pub fn run() -> Report {
    let (host, can_run, mut checks) = kvm::look();
    checks.extend(host::look());
    Report { can_run, host, checks }
}
