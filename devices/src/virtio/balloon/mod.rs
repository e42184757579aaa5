//! The traditional memory balloon (VIRTIO 1.2 §5.5): how memory that the guest
//! does not need comes back to the host.
//!
//! The driver reports pages that are free, and they go back at once. Beyond
//! that the host may ask for a number of pages: the driver takes them from the
//! guest and puts them into the balloon.

mod config;
mod device;
mod give;
mod handle;
mod live;
mod state;
mod stats;
#[cfg(test)]
mod tests;

pub use device::{Balloon, BalloonOptions};
pub use handle::BalloonHandle;
pub use stats::Stats;
