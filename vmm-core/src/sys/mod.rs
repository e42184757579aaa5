//! Safe wrappers over what the host's kernel offers.

mod block;
mod entropy;
pub mod footprint;
mod iovec;
pub mod loopback;
mod names;
mod poll;
pub mod probe;
pub mod process;
pub mod signal;
mod storage;
mod tap;
pub mod terminal;
#[cfg(test)]
mod tests;
mod thread_clock;
pub mod uring;
mod vhost;
mod vsock;

pub use block::{
    DirectAlign, direct_align, discard_blocks, logical_block_size, physical_block_size, tries_reads,
};
pub use entropy::fill_random;
pub use iovec::{read_at, read_once, write_at, write_once};
pub use names::{Name, read_names};
pub use poll::{wait_readable, wait_woken, wait_writable};
pub use storage::{ImageFile, Stored};
pub use tap::{Offloads, Tap, TapError};
pub use thread_clock::ThreadClock;
pub use vhost::{VhostError, VhostNet, VhostRing};
pub use vsock::set_vsock_buffer;
