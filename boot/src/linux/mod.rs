//! What a kernel is given besides itself: command line, initrd, memory map,
//! and Linux's `boot_params`.

mod cmdline;
mod initrd;
mod memory_map;
#[cfg(test)]
mod tests;
pub(crate) mod zero_page;

pub(crate) use cmdline::check as check_cmdline;
pub use cmdline::{Cmdline, CmdlineError};
pub(crate) use initrd::Piece;
pub use initrd::{Initrd, InitrdError};
pub use memory_map::{MemoryKind, MemoryRange, memory_map};
