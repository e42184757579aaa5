use std::io;

use vmm_sys_util::eventfd::EventFd;

/// Where guest writes become events without an exit to us (ioeventfd).
pub trait Doorbells: Send + Sync {
    /// Lets guest writes to `addr` in memory signal `event`: only 4-byte
    /// writes of `value`, or with `None` writes of any length and value.
    ///
    /// # Errors
    /// If the host refuses, for one because the address is taken. Writes then
    /// arrive at the bus, as they do without a doorbell.
    fn attach(&self, event: &EventFd, addr: u64, value: Option<u32>) -> io::Result<()>;
    /// Undoes an [`Doorbells::attach`] of the same arguments.
    ///
    /// # Errors
    /// If there is no such doorbell.
    fn detach(&self, event: &EventFd, addr: u64, value: Option<u32>) -> io::Result<()>;
}
