use std::io;
use std::os::fd::BorrowedFd;

use vm_memory::VolatileSlice;

use super::Offloads;

/// The host's end of one pair of a network device's queues. Never blocks.
///
/// Each packet is an Ethernet frame behind a virtio header of 12 bytes
/// (VIRTIO 1.2 §5.1.6), whose `num_buffers` means nothing here. An end that
/// has no such header makes one of zeros, and takes none but such.
pub trait NetBackend: Send {
    /// Readable while a packet waits, unless this end
    /// [has it](NetBackend::has_packet) already; the same descriptor for life. After
    /// [`NetBackend::send`] or [`NetBackend::flush`] said `WouldBlock`, it
    /// becomes writable when the host's end goes on.
    fn poll_fd(&self) -> BorrowedFd<'_>;
    /// The largest packet without its Ethernet header, in bytes, if known.
    fn mtu(&self) -> Option<u16>;
    /// Work on packets that this end can do for the guest, or leave to it.
    fn offloads(&self) -> Offloads;
    /// Says what work on packets to the guest is left to it: at most what
    /// [`NetBackend::offloads`] has.
    ///
    /// # Errors
    /// What the host said.
    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()>;
    /// Has this end take part or not, in a device with several pairs: one that
    /// does not gets no packets from the host. At first all do.
    ///
    /// # Errors
    /// What the host said.
    fn set_enabled(&mut self, enabled: bool) -> io::Result<()>;
    /// Takes the next packet, header first, cut to what `room` holds, which is
    /// at most 1024 pieces; returns its length. What is in `room` behind it is
    /// undefined.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `Interrupted` to be asked again; else the
    /// host's end is gone.
    fn receive(&mut self, room: &[VolatileSlice<'_>]) -> io::Result<usize>;
    /// Whether the next packet is in hand: the descriptor need not be readable
    /// for it.
    fn has_packet(&self) -> bool;
    /// Takes packets to the guest off an end that takes none from it while it
    /// cannot get rid of its own. So many of them are kept for the guest, the
    /// others dropped. Returns whether this is such an end: it is to be called
    /// again for packets to come.
    fn relieve(&mut self) -> bool;
    /// Sends one packet, which is at most 1024 pieces. The first is the header
    /// and nothing else. The packet may be held back until
    /// [`NetBackend::flush`].
    ///
    /// # Errors
    /// `WouldBlock` if there is no room for it now: offer it again once
    /// [`NetBackend::poll_fd`] is writable. After others it is lost.
    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()>;
    /// Sends what was held back, after the last packet of a batch.
    ///
    /// # Errors
    /// `WouldBlock` if there still is something held back: again once
    /// [`NetBackend::poll_fd`] is writable. After others it is lost.
    fn flush(&mut self) -> io::Result<()>;
}
