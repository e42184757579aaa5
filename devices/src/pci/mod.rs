//! PCI (PCI Local Bus 3.0): configuration space, base address registers,
//! MSI-X, the host bridge and its one bus.
//!
//! A device is a [`Function`]: it owns a [`ConfigSpace`] and, if it sends
//! messages, an [`MsixTable`]. The [`Root`] finds it by slot for configuration
//! accesses and by its base address registers for other accesses, and takes
//! one function's lock at a time: a slow function delays nobody else.
//!
//! Lock order: function, then routes of the root, then MSI-X entry.

mod bar;
mod capability;
mod config;
mod function;
mod intx;
mod msix;
mod root;
pub mod spec;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use bar::{BAR_COUNT, Bar, BarKind, Space, Window};
pub use capability::Capability;
pub use config::{CONFIG_SIZE, ConfigSpace, Identity};
pub use function::{Function, SharedFunction};
pub use intx::Intx;
pub use msix::{MsixPlace, MsixTable};
pub use root::{Aperture, AssignError, ConfigPorts, Ecam, NoSlot, Root, SLOT_COUNT};
