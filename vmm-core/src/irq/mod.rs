//! Interrupts as devices see them: a line to raise, or a message to send.
//!
//! Devices hold these traits, never a KVM descriptor, so that their tests need
//! no KVM and a restored machine can hand them other lines.

mod shared;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use vmm_sys_util::eventfd::EventFd;

pub use shared::SharedLine;

/// A level-sensitive interrupt wire.
///
/// The device says what level the wire has now, as often as it likes; whoever
/// implements the wire turns that into what the interrupt controller expects.
pub trait IrqLine: Send + Sync {
    /// Drives the wire high or low. Cheap if the level does not change.
    fn set_level(&self, high: bool);
}

/// A message-signalled interrupt (PCI Local Bus 3.0 §6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// Where the message is written: an address in the 0xfee0_0000 window.
    pub address: u64,
    /// What is written: vector and delivery mode (Intel SDM 3A §11.11).
    pub data: u32,
}

/// One interrupt that a device may send as a message, such as an entry of an
/// MSI-X table.
pub trait MsiVector: Send + Sync {
    /// What [`MsiVector::signal`] sends from now on; nothing if `None`.
    /// Nothing is said to the interrupt controller if that does not change.
    ///
    /// # Errors
    /// If the host has no more routes; the old message is then gone.
    fn route(&self, message: Option<MsiMessage>) -> io::Result<()>;
    /// Sends the message once. Cheap, and from any thread.
    fn signal(&self);
    /// Has the host send the message for each write to `event`, and take what
    /// was written, so that nobody else who waits for `event` wakes up. Lasts
    /// until [`MsiVector::detach`] or the end of the route; a write that the
    /// host does not take stays in `event`.
    ///
    /// # Errors
    /// If there is no route, or the host has no descriptor left.
    fn attach(&self, event: &Arc<EventFd>) -> io::Result<()>;
    /// Ends [`MsiVector::attach`]: later writes stay in `event`. Nothing
    /// happens if it is not attached. May take milliseconds.
    fn detach(&self, event: &EventFd);
}

/// Takes message-signalled interrupts to the vCPUs' local APICs.
pub trait MsiSink: Send + Sync {
    /// A vector that sends nothing yet. It costs the host nothing until it is
    /// routed.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    fn vector(&self) -> io::Result<Box<dyn MsiVector>>;
}
