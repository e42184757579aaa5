//! ACPI tables: what the machine has, and what a guest need not look for.
//!
//! The machine is "hardware-reduced" (ACPI 6.5 §4.1): no PM timer, no fixed
//! events, no legacy interrupt controller. One file per table; [`write()`]
//! puts them where a BIOS would, the RSDP first.

mod description;
mod dsdt;
mod fadt;
mod madt;
mod pci;
mod tables;
#[cfg(test)]
mod tests;

pub use description::{AcpiDescription, PciHost, PciInterrupt, SerialPort, VirtioMmio};
pub use fadt::{POWER_OFF, RESET_VALUE};
pub use tables::{AcpiError, write};
