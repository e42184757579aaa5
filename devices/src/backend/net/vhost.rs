use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use vmm_core::mem::GuestRam;
use vmm_core::sys::{Offloads, Tap, VhostNet, VhostRing};

/// The host's end of one pair of a network device's queues, which moves the
/// packets by itself. Ring 0 is for packets to the guest, 1 for those from it.
pub trait KernelPair: Send {
    /// Reports an error or a hang-up when the host's end is gone; the same
    /// descriptor for life.
    fn poll_fd(&self) -> BorrowedFd<'_>;
    /// The largest packet without its Ethernet header, in bytes, if known.
    fn mtu(&self) -> Option<u16>;
    /// Work on packets that this end can do for the guest, or leave to it.
    fn offloads(&self) -> Offloads;
    /// Feature bits of rings and headers that it knows.
    ///
    /// # Errors
    /// What the host said.
    fn features(&self) -> io::Result<u64>;
    /// Says what work on packets to the guest is left to it.
    ///
    /// # Errors
    /// What the host said.
    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()>;
    /// Has this end take part or not, in a device with several pairs.
    ///
    /// # Errors
    /// What the host said.
    fn set_enabled(&mut self, enabled: bool) -> io::Result<()>;
    /// Prepares for rings in `mem` with these of its features.
    ///
    /// # Errors
    /// What the host said.
    fn prepare(&mut self, features: u64, mem: &Arc<GuestRam>) -> io::Result<()>;
    /// Moves the packets of ring `index` from now on.
    ///
    /// # Errors
    /// What the host said; the ring then does not run.
    fn start_ring(&mut self, index: usize, ring: &VhostRing<'_>) -> io::Result<()>;
    /// Ends that: nothing is in flight when it returns. Returns the index of
    /// the first available buffer that was not taken; all before are used.
    /// Idempotent.
    ///
    /// # Errors
    /// What the host said.
    fn stop_ring(&mut self, index: usize) -> io::Result<u16>;
}

/// A queue of a tap whose packets vhost-net moves.
#[derive(Debug)]
pub struct VhostTap {
    /// Stopped before the tap is closed.
    vhost: VhostNet,
    tap: Tap,
}

impl VhostTap {
    /// `tap`, served by `vhost`, which serves nothing yet.
    pub fn new(vhost: VhostNet, tap: Tap) -> Self {
        Self { vhost, tap }
    }
}

impl KernelPair for VhostTap {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }

    fn mtu(&self) -> Option<u16> {
        self.tap.mtu().ok().and_then(|mtu| mtu.try_into().ok())
    }

    fn offloads(&self) -> Offloads {
        self.tap.offloads()
    }

    fn features(&self) -> io::Result<u64> {
        self.vhost.features()
    }

    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        self.tap.set_offloads(offloads)
    }

    fn set_enabled(&mut self, enabled: bool) -> io::Result<()> {
        self.tap.set_attached(enabled)
    }

    fn prepare(&mut self, features: u64, mem: &Arc<GuestRam>) -> io::Result<()> {
        self.vhost.prepare(features, mem)
    }

    fn start_ring(&mut self, index: usize, ring: &VhostRing<'_>) -> io::Result<()> {
        self.vhost.start_ring(index, ring, &self.tap)
    }

    fn stop_ring(&mut self, index: usize) -> io::Result<u16> {
        self.vhost.stop_ring(index)
    }
}
