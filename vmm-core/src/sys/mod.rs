//! Safe wrappers over what the host's kernel offers.

mod iovec;
#[cfg(test)]
mod tests;

pub use iovec::{read_at, read_once, write_at, write_once};
