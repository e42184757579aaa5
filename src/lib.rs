//! Kiln: a small, fast virtual machine monitor for KVM.
//!
//! The library exists for the `kiln` binary and for `tests/`.

pub mod agent;
pub mod check;
pub mod cli;
pub mod config;
pub mod exit;
pub mod logging;
pub mod machine;
pub mod report;
pub mod suite;
pub mod symbols;
