use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// The kernel panics.
const PANICKED: u8 = 1 << 0;
/// It panics and hands over to a second kernel, which saves what is left.
const CRASH_LOADED: u8 = 1 << 1;

/// What the guest's kernel has said of a panic. Copies are of one note.
#[derive(Clone)]
pub struct PanicNote(Arc<Shared>);

struct Shared {
    panicked: AtomicBool,
    crash_loaded: AtomicBool,
    event: EventFd,
}

impl PanicNote {
    /// Nothing yet.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            panicked: AtomicBool::new(false),
            crash_loaded: AtomicBool::new(false),
            event: EventFd::new(EFD_NONBLOCK)?,
        })))
    }

    /// Whether the kernel has said that it panics, and that nothing follows.
    pub fn panicked(&self) -> bool {
        self.0.panicked.load(Ordering::Acquire)
    }

    /// Whether it has said that a second kernel follows its panic.
    pub fn crash_loaded(&self) -> bool {
        self.0.crash_loaded.load(Ordering::Acquire)
    }

    /// Becomes readable when it first panics.
    pub fn event(&self) -> &EventFd {
        &self.0.event
    }

    /// The events that a driver may use.
    pub(super) fn offered() -> u8 {
        PANICKED | CRASH_LOADED
    }

    /// Takes what the guest writes: bits of events, unknown ones ignored.
    pub(super) fn take(&self, events: u8) {
        if events & CRASH_LOADED != 0 {
            self.0.crash_loaded.store(true, Ordering::Release);
        }
        if events & PANICKED != 0 && !self.0.panicked.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then it is readable too.
            let _ = self.0.event.write(1);
        }
    }
}
