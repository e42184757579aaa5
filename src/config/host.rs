use std::io;

use super::{ByteSize, MemorySize};

/// What this host has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Physical memory and swap together.
    pub memory: ByteSize,
}

/// More was asked for than the host has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--memory {asked}: this host has only {}, swap included", .has.rounded())]
pub struct OverLimit {
    /// What was asked for.
    pub asked: MemorySize,
    /// What the host has.
    pub has: ByteSize,
}

impl HostLimits {
    /// Asks the host.
    ///
    /// # Errors
    /// What sysinfo(2) says, in a sentence.
    pub fn read() -> io::Result<Self> {
        let info = nix::sys::sysinfo::sysinfo()
            .map_err(|errno| io::Error::other(format!("the host hides its memory: {errno}")))?;
        let memory = info.ram_total().saturating_add(info.swap_total());
        Ok(Self { memory: ByteSize::new(memory) })
    }

    /// Checks a guest's memory against the host's.
    ///
    /// # Errors
    /// [`OverLimit`] names both.
    pub fn admit(&self, memory: MemorySize) -> Result<(), OverLimit> {
        if memory.bytes() > self.memory.bytes() {
            return Err(OverLimit { asked: memory, has: self.memory });
        }
        Ok(())
    }
}
