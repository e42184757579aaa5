//! The block device (VIRTIO 1.2 §5.2).
//!
//! Each queue is a lane with a thread of its own, which waits for the
//! driver's doorbell and for the host's answers in one place. A request is
//! parsed (`request`), planned (`plan`) and passed to the image through the
//! queue's channel; nothing but the image's own locks is shared between queues.

mod burst;
mod config;
mod device;
mod disk;
mod flight;
mod lane;
#[cfg(any(test, feature = "testing"))]
mod looped;
mod plan;
mod request;
#[cfg(test)]
mod tests;
mod worker;

pub use device::{Blk, DiskOptions, Resized, Resizer};
