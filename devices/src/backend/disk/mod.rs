//! Disk images and block devices.

mod channel;
mod error;
mod gate;
mod image;
mod lock;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod options;
mod raw;

pub use channel::{Channel, Ended, Operation, channel, sync_channel};
pub use error::DiskError;
pub use gate::{Gate, Inside};
pub use image::{Access, DiskImage, Geometry, Place, Stable};
#[cfg(any(test, feature = "testing"))]
pub use memory::{Fault, MemoryDisk};
pub use options::{CacheMode, OpenOptions};
pub use raw::RawDisk;
