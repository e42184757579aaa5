//! The network device (VIRTIO 1.2 §5.1): pairs of queues, each with its host's
//! end, and a control queue. Packets are moved by the event loop ([`Net`]) or
//! by the host's kernel ([`KernelNet`]).

mod control;
mod device;
mod header;
mod identity;
mod kernel;
mod mac;
mod pair;
mod room;
mod rx;
mod state;
#[cfg(test)]
mod tests;
mod throttle;
mod tx;
mod used;

pub use control::Command;
pub use device::{Net, NetOptions};
pub use header::Header;
pub use kernel::KernelNet;
pub use mac::default_mac;
