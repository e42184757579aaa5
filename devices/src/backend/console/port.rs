use vmm_sys_util::eventfd::EventFd;

/// Where console input goes: the receiver of a serial port.
pub trait InputPort: Send + Sync {
    /// How many bytes the guest would take now. If none,
    /// [`ready`](Self::ready) becomes readable when it is some again.
    fn room(&self) -> usize;

    /// Gives the guest the first bytes of `bytes`, as many as there is room
    /// for, and returns how many. If not all, [`ready`](Self::ready) becomes
    /// readable when there is room again.
    fn receive(&self, bytes: &[u8]) -> usize;

    /// Readable when it is worth trying again.
    fn ready(&self) -> &EventFd;
}
