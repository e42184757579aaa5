//! qcow2 images: header and backing files are checked and opened here; the
//! `imago` crate knows clusters, reference counts and compressed data; and what
//! lies in the file as it is, is read and overwritten without it.
//!
//! Clusters of a running machine's image are never freed: discarded ones become
//! holes in the file, so the host has the space, and no transfer that is still
//! on its way can meet another use of them.

mod chain;
mod disk;
mod error;
mod header;
mod host;
mod ordered;
mod part;
#[cfg(any(test, feature = "testing"))]
mod play;
mod refcount;
#[cfg(test)]
mod tests;

pub use disk::Qcow2Disk;
pub use error::{BackingError, Qcow2Error};
pub(super) use header::MAGIC;
pub use header::{Backing, Header};
#[cfg(any(test, feature = "testing"))]
pub use play::play_qcow2;
