//! Device models and the backends behind them.
#![forbid(unsafe_code)]

pub mod backend;
pub mod legacy;
pub mod pci;
#[cfg(test)]
mod programs;
pub mod pvpanic;
pub mod virtio;
