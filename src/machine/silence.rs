use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::backend::console::Output;

/// How long a line stays as it is before it counts as one without an end, such
/// as a prompt.
const OPEN_LINE: Duration = Duration::from_millis(100);
/// How many looks there are in the time that is to pass before a note.
const LOOKS: u32 = 8;
/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(10);

/// Looks at the consoles now and then: for lines that stay open, if there are
/// patterns for them, and for a silence that is too long.
pub(super) struct SilenceWatch {
    has_patterns: bool,
    quiet_after: Option<Duration>,
    /// Of each console: how much there was at the last look, and whether its
    /// open line was tested since.
    seen: Vec<(u64, bool)>,
    last_sound: Instant,
    is_noted: bool,
}

impl SilenceWatch {
    pub(super) fn new(has_patterns: bool, quiet_after: Option<Duration>) -> Self {
        Self {
            has_patterns,
            quiet_after,
            seen: Vec::new(),
            last_sound: Instant::now(),
            is_noted: false,
        }
    }

    /// How often to look; never if there is nothing to look for.
    pub(super) fn period(&self) -> Option<Duration> {
        let quiet = self.quiet_after.map(|after| (after / LOOKS).max(SHORTEST));
        let open = self.has_patterns.then_some(OPEN_LINE);
        quiet.into_iter().chain(open).min()
    }

    /// Looks; returns whether a silence is to be noted, once in a run.
    pub(super) fn look<'a>(
        &mut self,
        outputs: impl Iterator<Item = &'a Arc<Output>>,
        now: Instant,
    ) -> bool {
        for (index, output) in outputs.enumerate() {
            if index == self.seen.len() {
                self.seen.push((0, true));
            }
            let total = output.total();
            let (before, tested) = &mut self.seen[index];
            if *before != total {
                (*before, *tested) = (total, false);
                self.last_sound = now;
            } else if self.has_patterns && !std::mem::replace(tested, true) {
                output.test_open_line();
            }
        }
        let silent = now.saturating_duration_since(self.last_sound);
        let is_due = self.quiet_after.is_some_and(|after| silent >= after);
        is_due && !std::mem::replace(&mut self.is_noted, true)
    }
}
