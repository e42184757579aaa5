use std::sync::{Arc, Mutex};

use super::{BAR_COUNT, Window};

/// A function on the bus, as the root and other parts of the machine hold it.
pub type SharedFunction = Arc<Mutex<dyn Function>>;

/// What sits in a slot of a PCI bus.
///
/// The root guarantees that a configuration access lies inside one aligned
/// group of 4 bytes of the 256, and that any other access lies inside the
/// window, with `1 <= data.len() <= 8`. Whatever else a guest can do, it does.
pub trait Function: Send {
    /// Fills all of `data` from the configuration space.
    fn read_config(&mut self, offset: u16, data: &mut [u8]);
    /// Applies `data` to the configuration space, and acts on what changed:
    /// the command register, the base address registers, capabilities.
    fn write_config(&mut self, offset: u16, data: &[u8]);
    /// Where accesses are decoded now, by base address register: what
    /// [`super::ConfigSpace::windows`] says. Asked after each
    /// [`Function::write_config`], under the same lock.
    fn windows(&self) -> [Option<Window>; BAR_COUNT];
    /// Fills all of `data` from the window of register `bar`, at `offset`
    /// bytes from its start. Reserved registers read as zero.
    fn read_bar(&mut self, bar: usize, offset: u64, data: &mut [u8]);
    /// Applies `data` to the window of register `bar`.
    fn write_bar(&mut self, bar: usize, offset: u64, data: &[u8]);
}
