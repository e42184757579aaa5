//! Disk images and block devices.

mod channel;
mod error;
mod format;
mod gate;
mod image;
mod lock;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod options;
mod qcow2;
mod raw;

pub use channel::{Channel, Ended, Operation, channel, sync_channel};
pub use error::DiskError;
pub use format::{Format, open};
pub use gate::{Gate, Inside};
pub use image::{Access, DiskImage, Geometry, Place, Stable};
#[cfg(any(test, feature = "testing"))]
pub use memory::{Fault, MemoryDisk};
pub use options::{CacheMode, OpenOptions};
#[cfg(any(test, feature = "testing"))]
pub use qcow2::play_qcow2;
pub use qcow2::{
    Backing as Qcow2Backing, BackingError, Header as Qcow2Header, Qcow2Disk, Qcow2Error,
};
pub use raw::RawDisk;
