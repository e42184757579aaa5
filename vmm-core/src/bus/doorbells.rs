use std::io;

use vmm_sys_util::eventfd::EventFd;

/// Which writes of a guest a doorbell hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knock {
    /// Those to an address in memory, of any length and value.
    Memory(u64),
    /// Those of 4 bytes and this value to an address in memory.
    Word(u64, u32),
    /// Those of 2 bytes and this value to a port.
    Port(u16, u16),
}

/// Where guest writes become events without an exit to us (ioeventfd).
pub trait Doorbells: Send + Sync {
    /// Lets guest writes that are a `knock` signal `event`.
    ///
    /// # Errors
    /// If the host refuses, for one because the place is taken. Writes then
    /// arrive at the bus, as they do without a doorbell.
    fn attach(&self, event: &EventFd, knock: Knock) -> io::Result<()>;
    /// Undoes an [`Doorbells::attach`] of the same arguments.
    ///
    /// # Errors
    /// If there is no such doorbell.
    fn detach(&self, event: &EventFd, knock: Knock) -> io::Result<()>;
}
