use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use vm_superio::Trigger;
use vm_superio::serial::{NoEvents, Serial};
use vmm_core::irq::IrqLine;

/// Register offsets (National Semiconductor PC16550D data sheet, table II).
pub(super) const DATA: u8 = 0;
pub(super) const IER: u8 = 1;
pub(super) const IIR: u8 = 2;
pub(super) const LCR: u8 = 3;
pub(super) const LSR: u8 = 5;

/// Interrupt enables: received data, transmitter empty.
const IER_RDI: u8 = 0x01;
const IER_THRI: u8 = 0x02;
const IER_VALID: u8 = 0x0f;

/// Interrupt identities, and the bits that say that there are FIFOs.
const IIR_RDI: u8 = 0x04;
const IIR_THRI: u8 = 0x02;
const IIR_NONE: u8 = 0x01;
const IIR_FIFOS: u8 = 0xc0;

const LCR_DLAB: u8 = 0x80;

/// Line status: data ready, transmitter empty (holding and shift register).
const LSR_DATA: u8 = 0x01;
const LSR_TX_EMPTY: u8 = 0x60;

/// A guest that has looked at the line status this often without writing
/// polls for input.
const POLLS_FOR_INPUT: u8 = 16;

/// A 16550 chip: registers, receive FIFO and interrupt line.
///
/// vm-superio keeps the registers and the FIFO. What it takes for granted,
/// that the transmitter is always empty and that reading the identification
/// register acknowledges everything, is done here as the chip does it.
pub(super) struct Uart {
    chip: Serial<NoTrigger, NoEvents, Sent>,
    line: Arc<dyn IrqLine>,
    level: bool,
    ier: u8,
    /// The transmitter became empty, and the guest has not been told.
    thr_empty: bool,
    /// The guest has at some time used another register while the receive
    /// interrupt was enabled. A driver that only tries out the enable bits
    /// does not, and empties the FIFO later.
    opened: bool,
    polls: u8,
}

impl Uart {
    /// A chip after reset, with its interrupt on `line`.
    pub(super) fn new(line: Arc<dyn IrqLine>) -> Self {
        Self {
            chip: Serial::new(NoTrigger, Sent(None)),
            line,
            level: false,
            ier: 0,
            thr_empty: false,
            opened: false,
            polls: 0,
        }
    }

    /// Reads a register; `busy` is the transmitter's state.
    pub(super) fn read(&mut self, register: u8, busy: bool) -> u8 {
        let mut value = self.chip.read(register);
        match register {
            IIR => value = IIR_FIFOS | self.identify(),
            LSR if busy => value &= !LSR_TX_EMPTY,
            LSR => self.polls = self.polls.saturating_add(1),
            _ => {}
        }
        self.used(register);
        value
    }

    /// Writes a register; gives the byte that was sent, if one was. Then, call
    /// [`transmitted`](Self::transmitted) if the transmitter is empty again,
    /// [`sync`](Self::sync) if it is not.
    pub(super) fn write(&mut self, register: u8, value: u8, busy: bool) -> Option<u8> {
        // The only errors are of the trigger and of `out`, which have none,
        // and of a full FIFO in loopback, where the byte is lost as it should.
        let _ = self.chip.write(register, value);
        let divisor = self.divisor_latched();
        if register == IER && !divisor {
            let enabled = value & IER_VALID & !self.ier;
            self.ier = value & IER_VALID;
            self.thr_empty |= enabled & IER_THRI != 0 && !busy;
        }
        self.polls = 0;
        let sent = self.chip.writer_mut().0.take();
        if sent.is_some() {
            // The line is not touched yet: mostly it is high again at once.
            self.thr_empty = false;
            return sent;
        }
        self.used(register);
        None
    }

    /// Tells the guest that the transmitter is empty.
    pub(super) fn transmitted(&mut self) {
        self.thr_empty = true;
        self.used(DATA);
    }

    /// How many received bytes there is room for now; none while the guest
    /// does not listen, as drivers empty the FIFO when they begin.
    pub(super) fn room(&self) -> usize {
        let interrupts = self.opened && self.ier & IER_RDI != 0;
        let listens = interrupts || self.polls >= POLLS_FOR_INPUT;
        if listens { self.chip.fifo_capacity() } else { 0 }
    }

    /// Receives the first bytes of `bytes` that there is room for; returns
    /// how many.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        // Loopback takes the chip off the line: nothing is received then.
        let taken = self.chip.enqueue_raw_bytes(&bytes[..count]).unwrap_or(0);
        self.sync();
        taken
    }

    /// Whether all received bytes were read.
    pub(super) fn is_drained(&mut self) -> bool {
        self.chip.read(LSR) & LSR_DATA == 0
    }

    fn used(&mut self, register: u8) {
        self.opened |= register != IER && self.ier & IER_RDI != 0;
        self.sync();
    }

    fn divisor_latched(&mut self) -> bool {
        self.chip.read(LCR) & LCR_DLAB != 0
    }

    /// The interrupt of highest priority; naming the transmitter's
    /// acknowledges it.
    fn identify(&mut self) -> u8 {
        let pending = self.pending();
        if pending == IIR_THRI {
            self.thr_empty = false;
        }
        pending
    }

    fn pending(&mut self) -> u8 {
        if self.ier & IER_RDI != 0 && !self.is_drained() {
            IIR_RDI
        } else if self.ier & IER_THRI != 0 && self.thr_empty {
            IIR_THRI
        } else {
            IIR_NONE
        }
    }

    /// Drives the line as the pending interrupts have it.
    pub(super) fn sync(&mut self) {
        let level = self.pending() != IIR_NONE;
        if self.level != level {
            self.level = level;
            self.line.set_level(level);
        }
    }
}

/// The line is driven by [`Uart::sync`], not by vm-superio.
struct NoTrigger;

impl Trigger for NoTrigger {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Catches the byte that vm-superio sends.
struct Sent(Option<u8>);

impl io::Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = bytes.last().copied();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
