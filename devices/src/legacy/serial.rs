use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::bus::BusDevice;
use vmm_core::irq::IrqLine;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::uart::Uart;
use crate::backend::console::{InputPort, Output};

/// The first serial port of PCs: a 16550 whose output goes to an [`Output`]
/// and whose input comes through an [`InputPort`].
///
/// Lock order: bus device, then chip, then output. The chip's lock is not held
/// while a vCPU waits for the output to take a byte, so that input, reset and
/// other vCPUs' waiting do not depend on whoever reads the console.
pub struct Serial {
    shared: Arc<Shared>,
    output: Arc<Output>,
}

impl Serial {
    /// Length of the window from
    /// [`SERIAL`](vmm_core::arch::x86_64::layout::SERIAL), in ports.
    pub const WINDOW: u64 = 8;

    /// A port that interrupts on `line`.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(line: Arc<dyn IrqLine>, output: Arc<Output>) -> io::Result<Self> {
        let port = Port { uart: Uart::new(line), wanted: false };
        let ready = EventFd::new(EFD_NONBLOCK)?;
        let shared = Arc::new(Shared { port: Mutex::new(port), ready });
        let weak = Arc::downgrade(&shared);
        output.on_ready(move || {
            if let Some(shared) = weak.upgrade() {
                shared.lock().uart.transmitted();
            }
        });
        Ok(Self { shared, output })
    }

    /// The receiving side, for whoever has input.
    pub fn input(&self) -> Arc<dyn InputPort> {
        Arc::clone(&self.shared) as Arc<dyn InputPort>
    }
}

impl BusDevice for Serial {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        let Ok(register) = u8::try_from(offset) else {
            return;
        };
        let mut port = self.shared.lock();
        data[0] = port.uart.read(register, self.output.is_busy());
        self.shared.offer_room(&mut port);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let Ok(register) = u8::try_from(offset) else {
            return;
        };
        let mut port = self.shared.lock();
        let sent = port.uart.write(register, data[0], self.output.is_busy());
        self.shared.offer_room(&mut port);
        drop(port);
        let Some(byte) = sent else {
            return;
        };
        self.output.push(byte);
        let busy = self.output.is_busy();
        let mut port = self.shared.lock();
        if busy {
            // `on_ready` says when it no longer is, or has done so just now.
            port.uart.sync();
        } else {
            port.uart.transmitted();
        }
    }
}

struct Shared {
    port: Mutex<Port>,
    ready: EventFd,
}

struct Port {
    uart: Uart,
    /// Whoever has input waits for room.
    wanted: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Port> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls for more input once the guest has read all there was.
    fn offer_room(&self, port: &mut Port) {
        if port.wanted && port.uart.room() > 0 && port.uart.is_drained() {
            port.wanted = false;
            // Fails only when the counter is full, and then it is readable too.
            let _ = self.ready.write(1);
        }
    }
}

impl InputPort for Shared {
    fn room(&self) -> usize {
        let mut port = self.lock();
        let room = port.uart.room();
        port.wanted = room == 0;
        room
    }

    fn receive(&self, bytes: &[u8]) -> usize {
        let mut port = self.lock();
        let count = port.uart.receive(bytes);
        port.wanted = count < bytes.len();
        count
    }

    fn ready(&self) -> &EventFd {
        &self.ready
    }
}
