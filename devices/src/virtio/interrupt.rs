use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::irq::IrqLine;

use super::spec::isr;

/// How a device speaks to its driver: the interrupt status and the line that
/// follows it, and the two conditions that come with a configuration interrupt.
///
/// The line is driven under the lock that guards the status: otherwise an
/// acknowledge on a vCPU could lower it just after the loop raised it.
pub struct Interrupt {
    device_id: u32,
    line: Arc<dyn IrqLine>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    isr: u8,
    needs_reset: bool,
    has_warned: bool,
    generation: u32,
}

impl Interrupt {
    /// An idle interrupt on `line`; the device's virtio id is for the log.
    pub fn new(device_id: u32, line: Arc<dyn IrqLine>) -> Self {
        Self { device_id, line, state: Mutex::default() }
    }

    /// The device used a buffer.
    pub fn queue_used(&self) {
        self.raise(&mut self.lock(), isr::QUEUE);
    }

    /// The configuration space changed (VIRTIO 1.2 §2.5).
    pub fn config_changed(&self) {
        let mut state = self.lock();
        state.generation = state.generation.wrapping_add(1);
        self.raise(&mut state, isr::CONFIG);
    }

    /// The device cannot go on until it is reset (VIRTIO 1.2 §2.1.2),
    /// because of `why`. Said once in the log, for a guest can repeat it.
    pub fn needs_reset(&self, why: &dyn std::error::Error) {
        let mut state = self.lock();
        let level = if state.has_warned { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "a virtio device of type {} waits for a reset: {why}", self.device_id);
        state.has_warned = true;
        state.needs_reset = true;
        self.raise(&mut state, isr::CONFIG);
    }

    /// Bits of [`isr`] that the driver has not acknowledged.
    pub fn status(&self) -> u8 {
        self.lock().isr
    }

    /// The driver has seen `bits`; the line falls with the last one.
    pub fn acknowledge(&self, bits: u8) {
        let mut state = self.lock();
        state.isr &= !bits;
        self.line.set_level(state.isr != 0);
    }

    /// Whether the device asked for a reset.
    pub fn is_reset_needed(&self) -> bool {
        self.lock().needs_reset
    }

    /// Changes with the configuration space (VIRTIO 1.2 §2.5.1).
    pub fn generation(&self) -> u32 {
        self.lock().generation
    }

    /// Back to idle. The generation stays: a driver may compare across resets.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.isr = 0;
        state.needs_reset = false;
        self.line.set_level(false);
    }

    fn raise(&self, state: &mut State, bits: u8) {
        state.isr |= bits;
        self.line.set_level(true);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
