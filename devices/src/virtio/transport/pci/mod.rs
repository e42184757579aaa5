//! Virtio over PCI (VIRTIO 1.2 §4.1), not transitional.
//!
//! Window 0 holds what the driver works with ([`layout`]), window 1 the table
//! of MSI-X and its pending bits, window 2 a port for notifications. The capabilities in configuration space say
//! so, and one of them is a way to the windows that needs no memory decoding.

mod capabilities;
mod common;
mod function;
mod layout;
#[cfg(test)]
mod tests;
mod vectors;

pub use common::CommonState;
pub use function::Pci;
