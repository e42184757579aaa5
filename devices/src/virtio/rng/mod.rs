//! The entropy device (VIRTIO 1.2 §5.4): random bytes of the host's, so that
//! no guest waits for its own.

mod device;
mod state;
#[cfg(test)]
mod tests;

pub use device::{RATE, Rng};
