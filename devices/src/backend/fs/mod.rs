//! Directories of the host's that guests mount.
//!
//! The files are served by `fuse-backend-rs`, which knows each inode by a
//! descriptor (`O_PATH`) of its own: whoever renames what on the host, an inode
//! stays what it was, and nothing is found by a path of several parts. Around
//! it, a [`Session`] sees to what the library leaves to its user: who writes,
//! which names and flags there are, and how much a guest may hold. Where there
//! are fewer descriptors than files that a guest knows, the library forgets
//! those that were not used for long, and looks them up again, name by name.

mod directory;
mod folder;
mod hold;
mod link;
mod memory;
mod open;
mod session;
mod share;
mod table;

pub use fuse_backend_rs::abi::fuse_abi as abi;
pub use fuse_backend_rs::api::filesystem::{DirEntry, Entry};
pub use open::writes;
pub use session::{Opened, Session, User, Value, WriteAt};
pub use share::{Limits, Share, ShareError, ShareOptions};
