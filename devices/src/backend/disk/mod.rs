//! Disk images and block devices.

mod channel;
mod image;
mod lock;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod raw;
#[cfg(test)]
mod tests;
mod traits;

pub use channel::{Channel, Ended, Operation};
pub use image::{Access, DiskImage, Geometry, Place};
#[cfg(any(test, feature = "testing"))]
pub use memory::{Fault, MemoryDisk};
pub use raw::{DiskError, RawDisk};
pub use traits::DiskBackend;
