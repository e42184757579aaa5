#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// Longer than it takes to hand an operation to another thread, and still no
/// time to a guest that waits for others.
const QUICK: Duration = Duration::from_micros(100);
/// Operations that are handed over once one was not quick.
const HANDED: u32 = 32;
/// Operations in a row before each of which there was nothing to do, before
/// the guest is taken to wait for each.
const SOLITARY: u32 = 16;

/// What is quick or slow by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A transfer on a file whose filesystem cannot try without blocking.
    Transfer,
    /// A flush.
    Flush,
}

/// Whether operations that io_uring would hand to a thread of the kernel's are
/// better done at once. That is much cheaper, but holds up all others of the
/// queue for as long as it takes: so it is done for as long as it is quick, or
/// there are no others.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Operations still to be handed over, by kind of work.
    handed: [u32; 2],
    /// Whether there has been nothing to do since an operation started.
    was_idle: bool,
    /// Operations in a row that found nothing to do before them.
    solitary: u32,
}

impl Pace {
    /// An operation starts.
    pub(super) fn started(&mut self) {
        let was_idle = std::mem::take(&mut self.was_idle);
        self.solitary = if was_idle { self.solitary.saturating_add(1) } else { 0 };
    }

    /// The guest has nothing ready, and nothing is in flight.
    pub(super) fn idles(&mut self) {
        self.was_idle = true;
    }

    /// Whether the guest waits for each operation before it starts another:
    /// whatever starts now is better done at once.
    pub(super) fn is_solitary(&self) -> bool {
        self.solitary >= SOLITARY
    }

    /// Whether the operation that starts, which is of that kind, is better done
    /// at once.
    pub(super) fn is_at_once(&mut self, work: Work) -> bool {
        if self.is_solitary() {
            return true;
        }
        let handed = self.handed(work);
        let is_at_once = *handed == 0;
        *handed = handed.saturating_sub(1);
        is_at_once
    }

    /// Does something at once and looks how long it takes.
    pub(super) fn measure<T>(&mut self, work: Work, action: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = action();
        self.took(work, start.elapsed());
        result
    }

    fn took(&mut self, work: Work, time: Duration) {
        if time > QUICK {
            *self.handed(work) = HANDED;
        }
    }

    fn handed(&mut self, work: Work) -> &mut u32 {
        match work {
            Work::Transfer => &mut self.handed[0],
            Work::Flush => &mut self.handed[1],
        }
    }
}
