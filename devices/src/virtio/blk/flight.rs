use vm_memory::{Bytes, GuestAddress};
use vmm_core::mem::GuestRam;

use super::plan::Rest;

/// Where a request is answered.
#[derive(Clone, Copy)]
pub(super) struct Reply {
    /// The head of its chain.
    pub(super) head: u16,
    /// The status byte, in RAM.
    pub(super) status: GuestAddress,
    /// Writable bytes in front of it.
    pub(super) room: usize,
}

impl Reply {
    /// Writes `status`; returns what goes into the used ring if `written` of
    /// the bytes in front of it were written.
    pub(super) fn send(self, mem: &GuestRam, status: u8, written: usize) -> (u16, usize) {
        // The chain was checked to lie in RAM, which stays.
        let _ = mem.write_obj(status, self.status);
        // Bytes that were left alone must not be counted (§2.7.8.2), so the
        // status byte counts only if all before it were written.
        (self.head, if written == self.room { written + 1 } else { written })
    }
}

/// A request that the image works on.
pub(super) struct Flight {
    pub(super) reply: Reply,
    pub(super) rest: Rest,
}

/// All requests of a queue that the image works on, by their tokens.
#[derive(Default)]
pub(super) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u16>,
}

impl Flights {
    /// Room for `count` requests.
    pub(super) fn new(count: u16) -> Self {
        let slots = (0..count).map(|_| None).collect();
        Self { slots, free: (0..count).rev().collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Takes `flight` in and gives it a token.
    ///
    /// # Panics
    /// If there is no room.
    pub(super) fn insert(&mut self, flight: Flight) -> u16 {
        let token = self.free.pop().expect("whoever inserts has asked for room");
        self.slots[usize::from(token)] = Some(flight);
        token
    }

    /// The request of `token`, which is in flight.
    pub(super) fn get(&mut self, token: u16) -> Option<&mut Flight> {
        self.slots.get_mut(usize::from(token))?.as_mut()
    }

    /// Takes the request of `token` out.
    pub(super) fn remove(&mut self, token: u16) -> Option<Flight> {
        let flight = self.slots.get_mut(usize::from(token))?.take()?;
        self.free.push(token);
        Some(flight)
    }
}
