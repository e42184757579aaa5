//! Buses: who answers a guest access to a port or to an address without memory.

mod device;
mod dispatch;
mod doorbells;
mod range;
#[cfg(test)]
mod tests;

pub use device::{BusDevice, SharedDevice};
pub use dispatch::{Bus, BusError};
pub use doorbells::{Doorbells, Knock};
pub use range::AddrRange;
