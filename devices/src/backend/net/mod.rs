//! Where a network device's packets go.

mod passt;
#[cfg(any(test, feature = "testing"))]
mod socket;
mod tap;
mod traits;
mod vhost;

#[cfg(any(test, feature = "testing"))]
pub use passt::play_passt;
pub use passt::{Passt, PasstEnds};
#[cfg(any(test, feature = "testing"))]
pub use socket::SocketNet;
pub use traits::NetBackend;
pub use vhost::{KernelPair, VhostTap};
pub use vmm_core::sys::{Offloads, Tap, TapError, VhostError, VhostNet, VhostRing};
