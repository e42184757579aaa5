//! Virtio devices (VIRTIO 1.2): the queues, the transports and each device.
//!
//! A transport decodes registers and hands their meaning to the
//! [`transport::Core`], which owns status, features, queue setup and
//! interrupts. Between `DRIVER_OK` and reset the device has its queues and
//! serves them, on the machine's event loop or in threads of its own.
//!
//! Lock order: transport (held by the bus), device state, interrupt.

pub mod balloon;
pub mod blk;
mod config;
pub mod console;
mod device;
mod doorbells;
pub mod fs;
mod interrupt;
mod lanes;
mod nap;
pub mod net;
pub mod queue;
pub mod rate;
pub mod rng;
pub mod spec;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transport;
pub mod vsock;

pub use device::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice};
pub use interrupt::{Event, Interrupt, Messages};
