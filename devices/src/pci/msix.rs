use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::irq::{MsiMessage, MsiSink, MsiVector};
use vmm_sys_util::eventfd::EventFd;

use super::{Capability, spec};

/// Bits of message control (PCI 3.0 §6.8.2.3).
const ENABLE: u16 = 1 << 15;
const FUNCTION_MASK: u16 = 1 << 14;
/// Bytes of a table entry: address, data and vector control (§6.8.2.6 to 9).
const ENTRY: usize = 16;
/// Vector control: the entry is masked.
const MASKED: u32 = 1;

/// Where a function keeps its table and its pending bits (PCI 3.0 §6.8.2.4,
/// §6.8.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixPlace {
    /// Base address register of the table, 0 to 5.
    pub table_bar: u8,
    /// Its offset there, a multiple of 8.
    pub table_offset: u32,
    /// Base address register of the pending bits, 0 to 5.
    pub pba_bar: u8,
    /// Their offset there, a multiple of 8.
    pub pba_offset: u32,
}

/// The interrupts of a function with MSI-X (PCI 3.0 §6.8.2): a table of
/// messages with a mask bit each, and the bits of those that wait for their
/// mask to go.
///
/// Interrupts are signalled from any thread. The host hears of a message when
/// its entry is unmasked, and only if it is another one than before.
pub struct MsixTable {
    vectors: Box<[Mutex<Vector>]>,
    /// Message control, without the table's size.
    control: AtomicU16,
    has_warned: AtomicBool,
}

struct Vector {
    message: MsiMessage,
    masked: bool,
    pending: bool,
    route: Box<dyn MsiVector>,
    /// What the host was last told.
    routed: Option<MsiMessage>,
    /// Events whose writes mean this interrupt.
    events: Vec<Followed>,
}

/// An event, and whether the host sends the message for it now.
struct Followed {
    event: Arc<EventFd>,
    is_attached: bool,
}

impl MsixTable {
    /// The most entries that a table can have.
    pub const MAX_VECTORS: u16 = 2048;

    /// A table of `count` entries, 1 to [`MsixTable::MAX_VECTORS`], that send
    /// through `sink`: all masked, and MSI-X not enabled.
    ///
    /// # Errors
    /// If `sink` has no more vectors.
    ///
    /// # Panics
    /// If `count` is out of range: a device that is made so is a bug.
    pub fn new(count: u16, sink: &dyn MsiSink) -> io::Result<Self> {
        assert!((1..=Self::MAX_VECTORS).contains(&count), "MSI-X has no tables of {count} entries");
        let vector = |_| {
            Ok(Mutex::new(Vector {
                message: MsiMessage { address: 0, data: 0 },
                masked: true,
                pending: false,
                route: sink.vector()?,
                routed: None,
                events: Vec::new(),
            }))
        };
        let vectors = (0..count).map(vector).collect::<io::Result<_>>()?;
        Ok(Self { vectors, control: AtomicU16::new(0), has_warned: AtomicBool::new(false) })
    }

    /// How many entries there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.vectors.len()).expect("at most MAX_VECTORS")
    }

    /// Size of the table in bytes.
    pub fn table_size(&self) -> u64 {
        u64::from(self.count()) * 16
    }

    /// Size of the pending bits in bytes: whole groups of 64 bits.
    pub fn pba_size(&self) -> u64 {
        u64::from(self.count()).div_ceil(64) * 8
    }

    /// The capability that tells of this table. Message control is 2 bytes
    /// from its start; [`MsixTable::set_control`] wants to know its value.
    pub fn capability(&self, place: MsixPlace) -> Capability {
        let table = place.table_offset & !7 | u32::from(place.table_bar & 7);
        let pba = place.pba_offset & !7 | u32::from(place.pba_bar & 7);
        let mut body = (self.count() - 1).to_le_bytes().to_vec();
        body.extend(table.to_le_bytes());
        body.extend(pba.to_le_bytes());
        let writable = (ENABLE | FUNCTION_MASK).to_le_bytes().to_vec();
        Capability { id: spec::capability::MSIX, body, writable }
    }

    /// Whether the function interrupts by MSI-X, and so not by its pin.
    pub fn is_enabled(&self) -> bool {
        self.control.load(Ordering::Acquire) & ENABLE != 0
    }

    /// Takes message control as it is after a write to the capability. Costs
    /// nothing if it is as before.
    pub fn set_control(&self, control: u16) {
        let control = control & (ENABLE | FUNCTION_MASK);
        if self.control.swap(control, Ordering::AcqRel) == control {
            return;
        }
        // After the locks no signal that saw the old control is under way.
        for vector in &self.vectors {
            self.apply(&mut lock(vector));
        }
    }

    /// Sends the message of entry `index`, now or when its mask goes. Returns
    /// false, and does nothing, if MSI-X is not enabled: the pin is to be used.
    /// An entry that does not exist swallows its interrupts.
    pub fn signal(&self, index: u16) -> bool {
        let Some(vector) = self.vectors.get(usize::from(index)) else {
            return self.is_enabled();
        };
        let mut vector = lock(vector);
        let control = self.control.load(Ordering::Acquire);
        if control & ENABLE == 0 {
            return false;
        }
        if control & FUNCTION_MASK != 0 || vector.masked {
            vector.pending = true;
        } else {
            vector.route.signal();
        }
        true
    }

    /// Has the host send entry `index`'s message for each write to `event`
    /// whenever it may be sent. What is written at other times stays in
    /// `event`, for its reader to [`MsixTable::signal`]. An entry that does
    /// not exist leaves all to the reader.
    pub fn follow(&self, index: u16, event: Arc<EventFd>) {
        if let Some(vector) = self.vectors.get(usize::from(index)) {
            let mut vector = lock(vector);
            vector.events.push(Followed { event, is_attached: false });
            self.follow_events(&mut vector);
        }
    }

    /// Ends [`MsixTable::follow`]: all that is written to `event` from now on
    /// stays there.
    pub fn unfollow(&self, index: u16, event: &Arc<EventFd>) {
        let Some(vector) = self.vectors.get(usize::from(index)) else { return };
        let mut vector = lock(vector);
        let found = vector.events.iter().position(|other| Arc::ptr_eq(&other.event, event));
        if let Some(at) = found
            && vector.events.swap_remove(at).is_attached
        {
            vector.route.detach(event);
        }
    }

    /// Forgets the interrupts that wait for a mask to go: what caused them is
    /// no more, as after a reset of the device (PCI 3.0 §6.8.3.4).
    pub fn clear_pending(&self) {
        for vector in &self.vectors {
            lock(vector).pending = false;
        }
    }

    /// Fills `data` from the table. As §6.8.2 demands, only aligned accesses
    /// of 4 and 8 bytes mean anything; others, and those past the table's
    /// end, read as zero.
    pub fn read_table(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some((vector, at)) = self.locate(offset, data.len()) {
            let entry = lock(vector).entry();
            data.copy_from_slice(&entry[at..at + data.len()]);
        }
    }

    /// Applies `data` to the table, if it is an aligned access of 4 or 8
    /// bytes.
    pub fn write_table(&self, offset: u64, data: &[u8]) {
        if let Some((vector, at)) = self.locate(offset, data.len()) {
            let mut vector = lock(vector);
            let mut entry = vector.entry();
            entry[at..at + data.len()].copy_from_slice(data);
            vector.set_entry(&entry);
            self.apply(&mut vector);
        }
    }

    /// Fills `data` from the pending bits: a set bit's entry waits for its
    /// mask to go (§6.8.2.10).
    pub fn read_pba(&self, offset: u64, data: &mut [u8]) {
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, byte) in data.iter_mut().enumerate() {
            let from = first.saturating_add(index).saturating_mul(8);
            let vectors = self.vectors.iter().skip(from).take(8);
            *byte = vectors
                .enumerate()
                .fold(0, |bits, (bit, vector)| bits | u8::from(lock(vector).pending) << bit);
        }
    }

    /// The entry that an access means, and the access's offset in it.
    fn locate(&self, offset: u64, len: usize) -> Option<(&Mutex<Vector>, usize)> {
        let offset = usize::try_from(offset).ok()?;
        if !matches!(len, 4 | 8) || !offset.is_multiple_of(len) {
            return None;
        }
        Some((self.vectors.get(offset / ENTRY)?, offset % ENTRY))
    }

    /// Makes the host follow an entry, after the entry or message control
    /// changed.
    fn apply(&self, vector: &mut Vector) {
        if !self.may_send(vector) {
            self.follow_events(vector);
        }
        let control = self.control.load(Ordering::Acquire);
        let wanted = match (control & ENABLE != 0, control & FUNCTION_MASK != 0 || vector.masked) {
            // What waited is no longer MSI-X's to tell.
            (false, _) => {
                vector.pending = false;
                None
            }
            // Masked, it may keep the message that it last had.
            (true, true) => return,
            (true, false) => Some(vector.message),
        };
        if wanted != vector.routed {
            let done = vector.route.route(wanted);
            vector.routed = wanted.filter(|_| done.is_ok());
            if let Err(error) = done
                && !self.has_warned.swap(true, Ordering::Relaxed)
            {
                log::warn!("the host refuses a device's interrupt its route: {error}");
            }
        }
        if wanted.is_some() && std::mem::take(&mut vector.pending) {
            vector.route.signal();
        }
        self.follow_events(vector);
    }

    /// Whether an interrupt of `vector` would be sent now.
    fn may_send(&self, vector: &Vector) -> bool {
        let control = self.control.load(Ordering::Acquire);
        control & (ENABLE | FUNCTION_MASK) == ENABLE && !vector.masked
    }

    /// Attaches the events to the host if it may send for them, or takes them
    /// back. One that the host refuses is left to its reader.
    fn follow_events(&self, vector: &mut Vector) {
        let may_send = self.may_send(vector) && vector.routed.is_some();
        for followed in &mut vector.events {
            if followed.is_attached && !may_send {
                vector.route.detach(&followed.event);
                followed.is_attached = false;
            } else if !followed.is_attached && may_send {
                match vector.route.attach(&followed.event) {
                    Ok(()) => followed.is_attached = true,
                    Err(error) => log::debug!("an interrupt takes the longer way: {error}"),
                }
            }
        }
    }
}

impl Vector {
    /// The entry as the guest reads it.
    fn entry(&self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&self.message.address.to_le_bytes());
        entry[8..12].copy_from_slice(&self.message.data.to_le_bytes());
        let control = if self.masked { MASKED } else { 0 };
        entry[12..].copy_from_slice(&control.to_le_bytes());
        entry
    }

    fn set_entry(&mut self, entry: &[u8; ENTRY]) {
        let word = |at: usize| {
            u32::from_le_bytes(entry[at..at + 4].try_into().expect("a slice of four bytes"))
        };
        // Bits 0 and 1 of the address do not exist.
        let address = u64::from(word(4)) << 32 | u64::from(word(0) & !3);
        self.message = MsiMessage { address, data: word(8) };
        self.masked = word(12) & MASKED != 0;
    }
}

fn lock(vector: &Mutex<Vector>) -> MutexGuard<'_, Vector> {
    vector.lock().unwrap_or_else(PoisonError::into_inner)
}
