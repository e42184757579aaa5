//! What is between a driver and a device: [`Core`] knows the rules, a
//! transport such as [`Mmio`] only decodes registers.

mod bells;
mod core;
mod mmio;
mod setup;
mod state;
#[cfg(test)]
mod tests;

pub use self::core::Core;
pub use bells::NotifyPlace;
pub use mmio::Mmio;
pub use setup::{QueueSetup, RingPart};
pub use state::CoreState;
