//! Disk images and block devices.

mod lock;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod raw;
#[cfg(test)]
mod tests;
mod traits;

#[cfg(any(test, feature = "testing"))]
pub use memory::{Fault, MemoryDisk};
pub use raw::{DiskError, RawDisk};
pub use traits::DiskBackend;
