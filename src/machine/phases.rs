use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A point that a run passes once, in this order. What does not concern a run
/// is never reached: one without a command starts none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// Everything is set up, and the guest's processors begin to run.
    KernelStarted,
    /// The guest's first process runs, as far as there is a sign of it.
    InitStarted,
    /// The command that the guest is for has started.
    CommandStarted,
    /// That command has ended.
    CommandEnded,
}

/// When a run passed its [`Milestone`]s.
///
/// Any thread may say that one is reached; the first to say so counts.
pub struct Phases {
    began: Instant,
    reached: Mutex<[Option<Instant>; COUNT]>,
}

const COUNT: usize = Milestone::CommandEnded as usize + 1;

impl Phases {
    /// A run that begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), reached: Mutex::default() }
    }

    /// The milestone is reached now.
    pub fn reach(&self, milestone: Milestone) {
        self.reach_at(milestone, Instant::now());
    }

    /// The milestone was reached at `time`.
    pub fn reach_at(&self, milestone: Milestone, time: Instant) {
        self.lock()[milestone as usize].get_or_insert(time);
    }

    /// Whether the milestone, or a later one, is reached.
    pub fn has_reached(&self, milestone: Milestone) -> bool {
        self.lock()[milestone as usize..].iter().any(Option::is_some)
    }

    /// How long after the run began the milestone was reached, if it was.
    pub fn at(&self, milestone: Milestone) -> Option<Duration> {
        let reached = self.lock()[milestone as usize]?;
        Some(reached.saturating_duration_since(self.began))
    }

    /// How long ago the run began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Instant>; COUNT]> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
