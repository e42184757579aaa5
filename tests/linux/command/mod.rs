//! `kiln run -- COMMAND`: a guest that behaves like the command in it.

mod endings;
mod files;
mod leftovers;
mod runners;
mod streams;
mod terminal;
mod waiting;

use testing::{Guest, kernel};

use crate::MINIMAL;

/// Kiln with a shell's script for the guest.
fn script(text: &str) -> Guest {
    Guest::running(&kernel(MINIMAL), &["sh", "-c", text])
}
