//! What PCs have always had, as little of it as guests need: a serial port,
//! the ways to reset and power off, a clock.

mod acpi_sleep;
mod cmos;
mod debug_exit;
mod i8042;
mod reset_control;
mod serial;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod uart;

pub use acpi_sleep::AcpiSleep;
pub use cmos::Cmos;
pub use debug_exit::DebugExit;
pub use i8042::I8042;
pub use reset_control::ResetControl;
pub use serial::Serial;
