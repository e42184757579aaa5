//! Kernel loaders, boot protocols and ACPI tables. Knows no devices.
//!
//! [`Kernel::open`] says what a file is, [`load`] puts it into guest memory
//! with its initrd, command line and boot information, and [`acpi::write()`]
//! describes the machine to it. Nothing here needs KVM.
#![forbid(unsafe_code)]

pub mod acpi;
pub mod initramfs;
pub mod linux;
pub mod loader;

mod packed;
mod size;

pub use linux::{Cmdline, CmdlineError, Initrd, InitrdError};
pub use loader::{Kernel, KernelError, KernelKind, LoadError, load};
