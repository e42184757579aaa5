use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::Config;
use super::state::State;
use super::stats::Stats;

/// What the host does with a balloon while the machine runs. From any thread.
#[derive(Clone)]
pub struct BalloonHandle {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) config: Arc<Config>,
}

impl BalloonHandle {
    /// Has the driver take memory from the guest, or give some back, until
    /// there are so many bytes in the balloon, rounded down to whole pages of
    /// 4 KiB. It may take its time, or not get there.
    pub fn set_target(&self, bytes: u64) {
        self.state().set_target(bytes);
    }

    /// How many bytes are to be in the balloon.
    pub fn target(&self) -> u64 {
        self.config.target()
    }

    /// How many bytes the driver says are in the balloon.
    pub fn actual(&self) -> u64 {
        self.config.actual()
    }

    /// What the driver said last of the guest's memory; nothing before it has
    /// said something.
    pub fn stats(&self) -> Stats {
        self.state().stats
    }

    /// Has the driver say how the guest uses its memory. That takes a moment;
    /// then it is in the log, and in [`BalloonHandle::stats`].
    pub fn ask_for_stats(&self) {
        self.state().ask_for_stats();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
