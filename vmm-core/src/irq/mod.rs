//! Interrupts as devices see them: a line to raise, or a message to send.
//!
//! Devices hold these traits, never a KVM descriptor, so that their tests need
//! no KVM and a restored machine can hand them other lines.

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

/// Takes message-signalled interrupts to the vCPUs' local APICs.
pub trait MsiSink: Send + Sync {
    /// Delivers `message` once.
    fn signal(&self, message: MsiMessage);
}
