use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use vm_memory::VolatileSlice;
use vmm_core::sys::{self, Offloads, Tap};

use super::NetBackend;

impl NetBackend for Tap {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn mtu(&self) -> Option<u16> {
        Tap::mtu(self).ok().and_then(|mtu| mtu.try_into().ok())
    }

    fn offloads(&self) -> Offloads {
        Tap::offloads(self)
    }

    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        Tap::set_offloads(self, offloads)
    }

    fn set_enabled(&mut self, enabled: bool) -> io::Result<()> {
        Tap::set_attached(self, enabled)
    }

    fn receive(&mut self, room: &[VolatileSlice<'_>]) -> io::Result<usize> {
        sys::read_once(&*self, room)
    }

    /// A tap keeps its packets in the kernel.
    fn has_packet(&self) -> bool {
        false
    }

    /// A tap takes packets whatever waits there.
    fn relieve(&mut self) -> bool {
        false
    }

    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()> {
        sys::write_once(&*self, packet).map(drop)
    }

    /// Nothing is ever held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
