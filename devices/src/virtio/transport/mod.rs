//! What is between a driver and a device: [`Core`] knows the rules, a
//! transport such as [`Mmio`] only decodes registers.

mod core;
mod mmio;
mod setup;
#[cfg(test)]
mod tests;

pub use self::core::Core;
pub use mmio::Mmio;
pub use setup::{QueueSetup, RingPart};
