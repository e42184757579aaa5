//! Safe wrappers over what the host's kernel offers.

mod iovec;
pub mod probe;
mod poll;
pub mod signal;
pub mod terminal;
#[cfg(test)]
mod tests;

pub use iovec::{read_at, read_once, write_at, write_once};
pub use poll::wait_writable;
