use std::io;
use std::os::fd::BorrowedFd;

use vm_memory::VolatileSlice;

use super::Offloads;

/// The host's end of a network device. Never blocks.
///
/// Each packet is an Ethernet frame behind a virtio header of 12 bytes
/// (VIRTIO 1.2 §5.1.6), whose `num_buffers` means nothing here.
pub trait NetBackend: Send {
    /// Readable while a packet waits; the same descriptor for life.
    fn poll_fd(&self) -> BorrowedFd<'_>;
    /// The largest packet without its Ethernet header, in bytes, if known.
    fn mtu(&self) -> Option<u16>;
    /// Says what packets the guest takes.
    ///
    /// # Errors
    /// What the host said.
    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()>;
    /// Takes the next packet, cut to `packet.len()`; returns its length.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else the host's end is gone.
    fn receive(&mut self, packet: &mut [u8]) -> io::Result<usize>;
    /// Sends one packet, whose pieces are at most 1024.
    ///
    /// # Errors
    /// If the host did not take it; the packet is lost.
    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()>;
}
