use std::sync::{Arc, OnceLock};

use devices::backend::console::LineTest;

use crate::config::{Pattern, VerdictConfig};
use crate::exit::Matched;

/// How much of a line is kept for people, in characters.
const SHOWN: usize = 200;

/// The patterns that lines of the consoles are held against, and the first
/// match. Copies share it.
#[derive(Clone)]
pub(super) struct Patterns(Arc<Shared>);

struct Shared {
    fail_on: Vec<Pattern>,
    succeed_on: Vec<Pattern>,
    matched: OnceLock<Matched>,
}

impl Patterns {
    pub(super) fn of(config: &VerdictConfig) -> Self {
        Self(Arc::new(Shared {
            fail_on: config.fail_on.clone(),
            succeed_on: config.succeed_on.clone(),
            matched: OnceLock::new(),
        }))
    }

    /// The first match, if there was one.
    pub(super) fn matched(&self) -> Option<Matched> {
        self.0.matched.get().cloned()
    }

    /// Whether a match is needed for a success.
    pub(super) fn is_awaiting(&self) -> bool {
        !self.0.succeed_on.is_empty() && self.0.matched.get().is_none()
    }

    /// What tests a console's lines; `None` without patterns.
    pub(super) fn test(&self) -> Option<LineTest> {
        if self.0.fail_on.is_empty() && self.0.succeed_on.is_empty() {
            return None;
        }
        let shared = Arc::clone(&self.0);
        Some(Box::new(move |line| shared.test(line)))
    }
}

impl Shared {
    /// Holds `line` against the patterns; true for the first match. A line that
    /// is both a failure and a success is a failure.
    fn test(&self, line: &str) -> bool {
        if self.matched.get().is_some() {
            return false;
        }
        let find = |patterns: &[Pattern]| {
            patterns.iter().find(|pattern| pattern.matches(line)).map(|p| p.as_str().to_owned())
        };
        let found = match find(&self.fail_on) {
            Some(pattern) => Some((true, pattern)),
            None => find(&self.succeed_on).map(|pattern| (false, pattern)),
        };
        let Some((fails, pattern)) = found else { return false };
        let line = line.chars().take(SHOWN).collect();
        self.matched.set(Matched { fails, pattern, line }).is_ok()
    }
}
