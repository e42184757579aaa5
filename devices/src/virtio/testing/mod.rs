//! A virtio driver to test devices with: well-behaved by default, hostile on
//! request. Everything runs on the calling thread, so tests need no waiting.
//!
//! Methods panic where a test has made a mistake.

mod doorbells;
mod files;
mod guest;
mod line;
mod messages;
mod patience;
mod pci;
mod queue;
mod registers;
mod script;

pub use doorbells::TestDoorbells;
pub use files::play_files;
pub use guest::{Guest, RAM, SharedLoop, Wiring, ram};
pub use line::TestLine;
pub use messages::TestMessages;
pub use patience::{PATIENCE, eventually};
pub use pci::{PciBus, PciRegisters};
pub use queue::{DriverQueue, Segment, read_only, write_desc, write_only};
pub use registers::{MmioRegisters, Registers};
pub use script::{
    play_balloon, play_blk, play_console, play_function, play_mmio, play_net, play_net_control,
    play_rng, play_vsock,
};
