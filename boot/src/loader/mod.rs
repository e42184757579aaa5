//! Kernel images: what a file is, and how it gets into guest memory.
//!
//! Every image comes down to segments to copy, an entry point and the
//! protocol that is spoken there. The formats differ only in where those
//! three are found:
//!
//! | file | protocol |
//! |---|---|
//! | bzImage | Linux 64-bit entry, setup header copied from the file |
//! | ELF of Linux, 64 bits | Linux 64-bit entry, or Xen PVH if only a note names an entry |
//! | other ELF with PVH note | Xen PVH |
//! | ELF or flat image with Multiboot 1 header | Multiboot 1 |
//! | other 64-bit ELF | Linux 64-bit entry |
//!
//! Files are hostile: each field is checked once, in `image::parse`, against
//! the file's size. Guest memory is checked in `place`, before a byte is copied.

mod bzimage;
mod contents;
mod elf;
mod error;
mod facts;
mod foreign;
mod image;
mod kernel;
mod load;
mod multiboot;
mod notes;
mod options;
mod place;
mod program;
mod pvh;
mod sections;
mod source;
#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the numbers in tests are small")]
mod tests;

pub use error::{KernelError, LoadError, Unusable};
pub use facts::release_of_bytes;
pub use image::parse_bytes;
pub(crate) use kernel::irregular;
pub use kernel::{Kernel, KernelKind};
pub use load::load;
pub use options::{KernelOptions, Setting, options_of_bytes};
pub use program::loaded_size;
