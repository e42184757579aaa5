//! The file system device (VIRTIO 1.2 §5.11): a directory of the host's, by
//! the messages of FUSE.
//!
//! Each queue has a thread of its own, for files make whoever asks for them
//! wait. A message is parsed (`request`), asked whether it changes anything
//! (the device of a read-only share refuses that, whatever the guest's kernel
//! believes), done by the share's session (`server`), and answered (`reply`).

mod device;
mod lane;
#[cfg(any(test, feature = "testing"))]
mod looped;
mod reply;
mod request;
mod server;
#[cfg(test)]
mod tests;
mod worker;

pub use device::{Fs, FsOptions, Tag};
