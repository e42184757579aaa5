//! The device's side of a split virtqueue (VIRTIO 1.2 §2.7).
//!
//! [`Ring`] takes chains from the driver and gives them back; a [`Chain`] is
//! one request's memory, walked and checked once; a [`Buffer`] is a list of
//! guest memory pieces that is cut anywhere, for no layout is assumed.

mod buffer;
mod chain;
mod parts;
mod ring;
#[cfg(test)]
mod tests;

pub use buffer::Buffer;
pub use chain::{Chain, RingError};
pub(in crate::virtio) use parts::find;
pub use ring::Ring;
