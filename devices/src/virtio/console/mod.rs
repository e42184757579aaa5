//! The console device (VIRTIO 1.2 §5.3): one port, a queue each way.
//!
//! Output costs the guest a notification for each piece of text, which the
//! host catches without an exit to user space, and not one for each byte.

mod device;
mod handle;
mod port;
mod state;
#[cfg(test)]
mod tests;
mod transmit;

pub use device::Console;
pub use handle::{Handle, Size};
