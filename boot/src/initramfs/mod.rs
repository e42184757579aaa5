//! An initial RAM file system that is made in memory: the first program of
//! the guest, and the kernel modules that it needs first.

mod archive;
mod modules;
#[cfg(test)]
mod tests;

pub use archive::Initramfs;
pub use modules::{Driver, ModuleTree, ModulesError, play_lists};
