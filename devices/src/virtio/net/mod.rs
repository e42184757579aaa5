//! The network device (VIRTIO 1.2 §5.1): one pair of queues.

mod device;
mod header;
mod mac;
mod rx;
mod state;
#[cfg(test)]
mod tests;
mod tx;

pub use device::{Net, NetOptions};
pub use header::Header;
pub use mac::default_mac;
