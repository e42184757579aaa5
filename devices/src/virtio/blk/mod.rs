//! The block device (VIRTIO 1.2 §5.2): one queue, requests served in order.

mod device;
mod request;
mod state;
#[cfg(test)]
mod tests;

pub use device::Blk;
pub use request::{Kind, Malformed, Request};
