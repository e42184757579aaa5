//! Where a network device's packets go.

#[cfg(any(test, feature = "testing"))]
mod socket;
mod tap;
mod traits;

#[cfg(any(test, feature = "testing"))]
pub use socket::SocketNet;
pub use traits::NetBackend;
pub use vmm_core::sys::{Offloads, Tap, TapError};
