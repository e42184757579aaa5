//! Device models and the backends behind them.
#![forbid(unsafe_code)]

pub mod backend;
pub mod legacy;
pub mod pci;
pub mod pvpanic;
pub mod virtio;
