//! Ways of a queue to a disk image.

mod files;
mod immediate;
mod pace;
mod sync;
#[cfg(test)]
mod tests;
mod uring;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::EventFd;

pub(super) use self::immediate::persist;
use super::DiskImage;
use crate::virtio::queue::Buffer;

/// The fastest channel that the host allows, for `depth` operations in flight
/// on memory of `ram`: io_uring, or else one that does everything at once. To
/// be called in the thread that uses it; the log says why it is not io_uring.
pub fn channel(image: Arc<dyn DiskImage>, ram: Arc<GuestRam>, depth: u16) -> Box<dyn Channel> {
    match uring::UringChannel::new(Arc::clone(&image), ram, depth) {
        Ok(channel) => Box::new(channel),
        Err(error) => {
            log::info!("disk {}: the host allows no io_uring: {error}", image.name());
            sync_channel(image)
        }
    }
}

/// A channel that does everything at once, in the caller's thread.
pub fn sync_channel(image: Arc<dyn DiskImage>) -> Box<dyn Channel> {
    Box::new(sync::SyncChannel::new(image))
}

/// One thing to do to a disk, its place checked: it lies on the disk.
#[derive(Debug)]
pub enum Operation<'m> {
    /// Disk to memory, from byte `offset`.
    Read {
        /// Where the bytes go.
        to: Buffer<'m>,
        /// Where they are.
        offset: u64,
    },
    /// Memory to disk, at byte `offset`.
    Write {
        /// Where the bytes are.
        from: Buffer<'m>,
        /// Where they go.
        offset: u64,
    },
    /// All writes that have ended, to stable storage.
    Flush,
    /// Give space back.
    Discard {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// Make it read as zeros.
    WriteZeroes {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Whether the space may go back.
        unmap: bool,
    },
}

/// The end of an operation.
#[derive(Debug)]
pub struct Ended {
    /// What [`Channel::start`] was given.
    pub token: u16,
    /// All of it was done, or this is why not.
    pub result: io::Result<()>,
}

/// One queue's way to a disk image. It lives in one thread.
///
/// Short transfers, EINTR and EAGAIN are its own business: an operation ends
/// whole or fails. Dropped with operations in flight, it waits for them.
pub trait Channel: Send {
    /// How it does I/O, in a word for the log: `io_uring` or `preadv`.
    fn engine(&self) -> &'static str;
    /// Starts `operation`. Its end comes from [`Channel::reap`], perhaps at
    /// once. At most as many are in flight as the channel was made for.
    fn start(&mut self, operation: Operation<'_>, token: u16);
    /// Passes on to the host what was started, and appends what has ended.
    fn reap(&mut self, ended: &mut Vec<Ended>);
    /// Passes on what was started, then blocks until an operation has ended or
    /// ends, `wake` has been written since the last call returned, `until` has
    /// come, or a signal arrives. One system call does all of that where the
    /// host can, so the cheapest loop is start, wait, reap. `wake` is the same
    /// non-blocking eventfd each time, and nobody else reads it.
    ///
    /// # Errors
    /// What the host said.
    fn wait(&mut self, wake: &EventFd, until: Option<Instant>) -> io::Result<()>;
}
