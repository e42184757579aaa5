//! The host bridge and its one bus.

mod bridge;
mod firmware;
mod ports;
mod windows;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::{BAR_COUNT, CONFIG_SIZE, Function, SharedFunction, Space, Window};
use bridge::HostBridge;
pub use firmware::AssignError;
pub use ports::ConfigPorts;
pub use windows::{Aperture, Ecam};

/// Slots of a PCI bus. The host bridge has the first.
pub const SLOT_COUNT: usize = 32;

/// The bus is full.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PCI bus has no more than {} slots for devices", SLOT_COUNT - 1)]
pub struct NoSlot;

/// A host bridge with bus 0, on which each function has a slot of its own.
///
/// Guests reach it through [`ConfigPorts`] and [`Ecam`], and the functions'
/// memory and ports through an [`Aperture`] each.
pub struct Root {
    slots: RwLock<Vec<Slot>>,
}

struct Slot {
    function: SharedFunction,
    /// Where it decodes memory and ports.
    windows: [Option<Window>; BAR_COUNT],
}

impl Root {
    /// A host bridge, and nothing on its bus.
    pub fn new() -> Self {
        let root = Self { slots: RwLock::default() };
        root.add(Arc::new(Mutex::new(HostBridge::new()))).expect("the first of the slots");
        root
    }

    /// Puts `function` into the next slot; returns which one that is.
    ///
    /// # Errors
    /// [`NoSlot`] if all are taken.
    pub fn add(&self, function: SharedFunction) -> Result<u8, NoSlot> {
        let windows = lock(&function).windows();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.len() == SLOT_COUNT {
            return Err(NoSlot);
        }
        slots.push(Slot { function, windows });
        Ok(u8::try_from(slots.len() - 1).expect("below SLOT_COUNT"))
    }

    /// How many slots are taken: the next function's slot.
    pub fn count(&self) -> usize {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Fills `data` from a configuration space of bus 0; all ones where there
    /// is no function.
    pub fn read_config(&self, slot: u8, function: u8, offset: u16, data: &mut [u8]) {
        data.fill(0xff);
        let Some(target) = self.function(slot, function) else { return };
        let mut target = lock(&target);
        for (at, piece) in pieces(offset, data.len()) {
            target.read_config(at, &mut data[piece]);
        }
    }

    /// Applies `data` to a configuration space of bus 0, and follows the
    /// function's windows if they moved.
    pub fn write_config(&self, slot: u8, function: u8, offset: u16, data: &[u8]) {
        let Some(target) = self.function(slot, function) else { return };
        let mut target = lock(&target);
        for (at, piece) in pieces(offset, data.len()) {
            target.write_config(at, &data[piece]);
        }
        self.follow(slot, target.windows());
    }

    /// Fills `data` from the function that decodes `addr` of `space`; all ones
    /// if none decodes all of it.
    pub fn read(&self, space: Space, addr: u64, data: &mut [u8]) {
        match self.decode(space, addr, data.len()) {
            Some((function, bar, offset)) => lock(&function).read_bar(bar, offset, data),
            None => data.fill(0xff),
        }
    }

    /// Applies `data` to the function that decodes `addr` of `space`.
    pub fn write(&self, space: Space, addr: u64, data: &[u8]) {
        if let Some((function, bar, offset)) = self.decode(space, addr, data.len()) {
            lock(&function).write_bar(bar, offset, data);
        }
    }

    fn function(&self, slot: u8, function: u8) -> Option<SharedFunction> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(usize::from(slot)).filter(|_| function == 0)?;
        Some(Arc::clone(&slot.function))
    }

    /// Who decodes an access, with which register and at what offset. Where
    /// windows overlap it is the lowest slot, one of the answers that
    /// PCI 3.0 leaves open.
    fn decode(&self, space: Space, addr: u64, len: usize) -> Option<(SharedFunction, usize, u64)> {
        let offset_in = |window: &Option<Window>| {
            window.filter(|window| window.space == space)?.range.offset_of(addr, len)
        };
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().find_map(|slot| {
            let mut windows = slot.windows.iter().enumerate();
            let (bar, offset) = windows.find_map(|(bar, w)| Some((bar, offset_in(w)?)))?;
            Some((Arc::clone(&slot.function), bar, offset))
        })
    }

    /// Called with the function's lock held, so that the last write wins.
    fn follow(&self, slot: u8, windows: [Option<Window>; BAR_COUNT]) {
        let slot = usize::from(slot);
        let is_new = {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            slots[slot].windows != windows
        };
        if is_new {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            slots[slot].windows = windows;
        }
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

/// Cuts an access into what lies in one group of four bytes each: where it
/// begins in the configuration space, and which bytes of the access it has.
/// Bytes past the end of the space are in none.
fn pieces(offset: u16, len: usize) -> impl Iterator<Item = (u16, std::ops::Range<usize>)> {
    let end = usize::from(CONFIG_SIZE).min(usize::from(offset).saturating_add(len));
    let mut at = usize::from(offset);
    std::iter::from_fn(move || {
        let from = at;
        at = (from / 4 * 4 + 4).min(end);
        let start = usize::from(offset);
        (from < end)
            .then(|| (u16::try_from(from).expect("below CONFIG_SIZE"), from - start..at - start))
    })
}

fn lock(function: &SharedFunction) -> MutexGuard<'_, dyn Function + 'static> {
    function.lock().unwrap_or_else(PoisonError::into_inner)
}
