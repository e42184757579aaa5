use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::irq::IrqLine;
use vmm_sys_util::eventfd::EventFd;

use super::spec::isr;

/// What a device tells its driver of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A buffer of the queue of this index was used.
    Used(u16),
    /// The configuration changed, or the device needs a reset.
    Config,
}

/// Interrupts as messages: a transport with MSI-X has one for each event.
pub trait Messages: Send + Sync {
    /// Sends the message for `event`, if the driver gave it one; false if
    /// messages are switched off, so that status and line have to tell.
    fn send(&self, event: Event) -> bool;
    /// As [`Interrupt::follow`].
    fn follow(&self, queue: u16, event: Option<Arc<EventFd>>);
}

/// How a device speaks to its driver: by a message for each event if the
/// transport has them, otherwise by the interrupt status and the line that
/// follows it. It also keeps the two conditions behind [`Event::Config`].
///
/// The line is driven under the lock that guards the status: otherwise an
/// acknowledge on a vCPU could lower it just after a device raised it.
pub struct Interrupt {
    device_id: u32,
    line: Arc<dyn IrqLine>,
    messages: Option<Arc<dyn Messages>>,
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
        Self { device_id, line, messages: None, state: Mutex::default() }
    }

    /// The same with `messages`, which come first while they are on.
    pub fn with_messages(self, messages: Arc<dyn Messages>) -> Self {
        Self { messages: Some(messages), ..self }
    }

    /// The device used a buffer of queue `index`. Cheap, and from any thread.
    pub fn queue_used(&self, index: u16) {
        if !self.send(Event::Used(index)) {
            self.raise(&mut self.lock(), isr::QUEUE);
        }
    }

    /// Has each write to `event` mean [`Interrupt::queue_used`] of queue
    /// `index`, until another one is given, or none. The host takes what it
    /// can without the device; the rest stays in `event`, which the device
    /// reads: a driver may mask its interrupt, or use the pin, at any time.
    pub fn follow(&self, index: u16, event: Option<Arc<EventFd>>) {
        if let Some(messages) = &self.messages {
            messages.follow(index, event);
        }
    }

    /// Lets `change` change the configuration space, and says so (VIRTIO 1.2
    /// §2.5). A driver that reads a part before and a part after it sees
    /// another generation.
    pub fn config_changed(&self, change: impl FnOnce()) {
        let mut state = self.lock();
        change();
        state.generation = state.generation.wrapping_add(1);
        self.raise_config(&mut state);
    }

    /// The device cannot go on until it is reset (VIRTIO 1.2 §2.1.2),
    /// because of `why`. Said once in the log, for a guest can repeat it.
    pub fn needs_reset(&self, why: &dyn std::error::Error) {
        let mut state = self.lock();
        let level = if state.has_warned { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "a virtio device of type {} waits for a reset: {why}", self.device_id);
        state.has_warned = true;
        state.needs_reset = true;
        self.raise_config(&mut state);
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

    /// The same, and the driver has now seen them all.
    pub fn take_status(&self) -> u8 {
        let mut state = self.lock();
        self.line.set_level(false);
        std::mem::take(&mut state.isr)
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

    fn send(&self, event: Event) -> bool {
        self.messages.as_ref().is_some_and(|messages| messages.send(event))
    }

    fn raise_config(&self, state: &mut State) {
        if !self.send(Event::Config) {
            self.raise(state, isr::CONFIG);
        }
    }

    fn raise(&self, state: &mut State, bits: u8) {
        state.isr |= bits;
        self.line.set_level(true);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
