#![expect(unsafe_code, reason = "maps the page that a vCPU shares with KVM")]

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;

/// The `immediate_exit` byte of a vCPU, in a mapping of its own, so that other
/// threads may set it while the vCPU runs and after it is gone.
///
/// Set, it makes KVM_RUN return with `EINTR` at once. Together with a signal
/// to the vCPU's thread that is a kick that cannot be missed: the signal ends
/// a KVM_RUN under way, the byte prevents the next one.
pub struct ImmediateExit {
    page: NonNull<libc::c_void>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and its one used byte is
// accessed atomically; KVM reads it so, too.
unsafe impl Send for ImmediateExit {}
// SAFETY: as above.
unsafe impl Sync for ImmediateExit {}

impl ImmediateExit {
    /// Maps the shared page of `vcpu`; `len` is KVM_GET_VCPU_MMAP_SIZE.
    pub(super) fn map(vcpu: &VcpuFd, len: usize) -> io::Result<Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches
        // no memory that Rust knows.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, vcpu.as_raw_fd(), 0)
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let page = NonNull::new(page).expect("mmap never maps address zero");
        Ok(Self { page, len })
    }

    /// Makes the next KVM_RUN return at once, or not.
    pub fn set(&self, on: bool) {
        let offset = std::mem::offset_of!(kvm_run, immediate_exit);
        // SAFETY: the page is mapped until `self` drops, at least as long as
        // `kvm_run`, and all accesses to this byte while vCPUs run are atomic.
        let byte = unsafe { AtomicU8::from_ptr(self.page.as_ptr().cast::<u8>().add(offset)) };
        byte.store(u8::from(on), Ordering::SeqCst);
    }
}

impl Drop for ImmediateExit {
    fn drop(&mut self) {
        // SAFETY: `map` made exactly this mapping, and nothing else knows it.
        unsafe { libc::munmap(self.page.as_ptr(), self.len) };
    }
}
