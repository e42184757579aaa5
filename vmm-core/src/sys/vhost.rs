//! vhost-net: the host's kernel moves packets between a tap and a guest's
//! rings by itself.
#![expect(unsafe_code, reason = "the vhost crate lacks a backend for a descriptor of ours")]

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use vhost::vhost_kern::VhostKernBackend;
use vhost::vhost_kern::vhost_binding::{VHOST_NET_SET_BACKEND, vhost_vring_file};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use vm_memory::{GuestAddress, GuestMemory, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::ioctl::ioctl_with_ref;

use super::Tap;
use crate::mem::GuestRam;

const PATH: &str = "/dev/vhost-net";

/// Rings of an instance: packets to the guest, and from it.
const RINGS: usize = 2;

/// Why the host's kernel cannot move packets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VhostError {
    /// The host does not have it.
    #[error("/dev/vhost-net does not exist; `modprobe vhost_net` may bring it")]
    Absent,
    /// The host does not let this user have it.
    #[error(
        "/dev/vhost-net cannot be opened: permission denied; its group may (often `kvm`: \
         `ls -l /dev/vhost-net` tells)"
    )]
    Denied,
    /// Anything else that the host said.
    #[error("cannot {what} /dev/vhost-net")]
    Host {
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

/// An instance of vhost-net: one pair of rings and one queue of a tap. The
/// kernel's thread for it exists from the opening on and does nothing until a
/// ring runs.
#[derive(Debug)]
pub struct VhostNet {
    file: File,
    /// What the kernel was told of; none at first. It stays until the rings
    /// are stopped.
    mem: Arc<GuestRam>,
    /// Which rings have a tap. The kernel refuses to take one away before it
    /// was told of memory.
    runs: [bool; RINGS],
}

/// A split virtqueue (VIRTIO 1.2 §2.7) for the kernel to serve. Addresses are
/// the guest's.
#[derive(Clone, Copy)]
pub struct VhostRing<'a> {
    /// Entries, a power of two, at most 32768.
    pub size: u16,
    /// The descriptor table.
    pub desc: u64,
    /// The available ring.
    pub avail: u64,
    /// The used ring; its index says how many buffers were used before.
    pub used: u64,
    /// Index of the first available buffer that is not taken yet.
    pub next_avail: u16,
    /// Written when the driver made buffers available.
    pub kick: &'a EventFd,
    /// Written by the kernel when it has used buffers and the driver wants to
    /// know.
    pub call: &'a EventFd,
    /// Written by the kernel when it cannot go on with the ring.
    pub error: &'a EventFd,
}

impl VhostNet {
    /// A new instance.
    ///
    /// # Errors
    /// [`VhostError`], a sentence that names the path, the cause and, if there
    /// is one, the remedy.
    pub fn open() -> Result<Self, VhostError> {
        let opened = OpenOptions::new().read(true).write(true).open(PATH);
        let file = opened.map_err(|source| match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => VhostError::Absent,
            Some(libc::EACCES | libc::EPERM) => VhostError::Denied,
            _ => VhostError::Host { what: "open", source },
        })?;
        let vhost = Self { file, mem: Arc::new(GuestRam::new()), runs: [false; RINGS] };
        let owned = vhost.set_owner().map_err(said);
        owned.map_err(|source| VhostError::Host { what: "get a thread of", source })?;
        Ok(vhost)
    }

    /// Virtio's feature bits that the kernel's half knows.
    ///
    /// # Errors
    /// What the host said.
    pub fn features(&self) -> io::Result<u64> {
        self.get_features().map_err(said)
    }

    /// Prepares for rings in `mem` with these of [`VhostNet::features`]. Rings
    /// that run are stopped.
    ///
    /// # Errors
    /// What the host said.
    pub fn prepare(&mut self, features: u64, mem: &Arc<GuestRam>) -> io::Result<()> {
        for index in 0..RINGS {
            self.stop_ring(index)?;
        }
        let regions: Vec<_> = mem
            .iter()
            .map(|region| VhostUserMemoryRegionInfo {
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: region.as_ptr() as u64,
                ..Default::default()
            })
            .collect();
        self.set_mem_table(&regions).map_err(said)?;
        self.mem = Arc::clone(mem);
        self.set_features(features).map_err(said)
    }

    /// Has the kernel serve ring `index`: 0 takes packets from `tap`, which
    /// has a header of 12 bytes, 1 gives it packets.
    ///
    /// # Errors
    /// `InvalidInput` if the ring does not lie in the memory, otherwise what
    /// the host said. The ring then does not run.
    ///
    /// # Panics
    /// If there is no such ring.
    pub fn start_ring(&mut self, index: usize, ring: &VhostRing<'_>, tap: &Tap) -> io::Result<()> {
        let place = VringConfigData {
            queue_max_size: ring.size,
            queue_size: ring.size,
            flags: 0,
            desc_table_addr: ring.desc,
            used_ring_addr: ring.used,
            avail_ring_addr: ring.avail,
            log_addr: None,
        };
        if !self.is_valid(&place) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.stop_ring(index)?;
        self.set_vring_num(index, ring.size).map_err(said)?;
        self.set_vring_base(index, ring.next_avail).map_err(said)?;
        self.set_vring_addr(index, &place).map_err(said)?;
        self.set_vring_kick(index, ring.kick).map_err(said)?;
        self.set_vring_call(index, ring.call).map_err(said)?;
        self.set_vring_err(index, ring.error).map_err(said)?;
        self.set_backend(index, tap.as_raw_fd())?;
        self.runs[index] = true;
        Ok(())
    }

    /// Ends the service of ring `index`: no packet is in flight when it
    /// returns. Returns the index of the first available buffer that the
    /// kernel did not take; all before it are used. Idempotent.
    ///
    /// # Errors
    /// What the host said.
    ///
    /// # Panics
    /// If there is no such ring.
    pub fn stop_ring(&mut self, index: usize) -> io::Result<u16> {
        if self.runs[index] {
            self.set_backend(index, -1)?;
            self.runs[index] = false;
        }
        let base = self.get_vring_base(index).map_err(said)?;
        // The upper half is of packed rings.
        let base = base & u32::from(u16::MAX);
        Ok(u16::try_from(base).expect("masked"))
    }

    /// Connects ring `index` with the tap behind `fd`, or with none if it is
    /// -1, which waits for the packets in flight.
    fn set_backend(&self, index: usize, fd: RawFd) -> io::Result<()> {
        let index = u32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
        let backend = vhost_vring_file { index, fd };
        // SAFETY: the request reads one `vhost_vring_file`, which lives during
        // the call. The kernel then reads and writes the memory that
        // `prepare` told it of, which `self.mem` keeps mapped: it changes only
        // after both rings were stopped, and `drop` stops them first.
        let result = unsafe { ioctl_with_ref(&self.file, VHOST_NET_SET_BACKEND(), &backend) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for VhostNet {
    fn drop(&mut self) {
        for index in 0..RINGS {
            // A ring that runs is never refused its end.
            let _ = self.stop_ring(index);
        }
    }
}

impl AsRawFd for VhostNet {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl VhostKernBackend for VhostNet {
    type AS = Arc<GuestRam>;

    fn mem(&self) -> &Self::AS {
        &self.mem
    }

    /// Each part lies in one piece of memory, up to its last byte.
    fn is_valid(&self, ring: &VringConfigData) -> bool {
        let size = usize::from(ring.queue_size);
        let fits = |addr, len| self.mem.get_slice(GuestAddress(addr), len).is_ok();
        ring.queue_size.is_power_of_two()
            && fits(ring.desc_table_addr, 16 * size)
            && fits(ring.avail_ring_addr, 6 + 2 * size)
            && fits(ring.used_ring_addr, 6 + 8 * size)
    }
}

/// What the host said.
fn said(error: vhost::Error) -> io::Error {
    match error {
        vhost::Error::IoctlError(error) | vhost::Error::IOError(error) => error,
        other => io::Error::other(other),
    }
}
