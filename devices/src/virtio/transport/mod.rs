//! What is between a driver and a device: [`Core`] knows the rules, a
//! transport, [`Mmio`] or [`Pci`], only decodes registers.

mod bells;
mod core;
mod halves;
mod mmio;
mod pci;
mod setup;
mod state;
#[cfg(test)]
mod tests;

pub use self::core::Core;
pub use bells::NotifyPlace;
pub(in crate::virtio) use halves::half;
use halves::with_half;
pub use mmio::Mmio;
pub use pci::{CommonState, Pci};
pub use setup::{QueueSetup, RingPart};
pub use state::CoreState;
