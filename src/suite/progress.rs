use std::fmt::Write;
use std::time::Instant;

use super::pool::RunResult;
use super::summary::{sentence, verdict_word};

/// Lines of runs under way that a terminal shows at most.
const SHOWN: usize = 20;
/// How much of a name a terminal shows, so that no line breaks, in characters.
const WIDTH: usize = 60;

/// Text that shows how a suite goes: a line for each run that has ended, and
/// on a terminal below them one for each that is under way, with its time.
pub(super) struct Progress<'a> {
    names: &'a [String],
    is_terminal: bool,
    running: Vec<(usize, Instant)>,
    /// How many lines at the bottom are to be drawn anew.
    drawn: usize,
    done: usize,
}

impl<'a> Progress<'a> {
    pub(super) fn new(names: &'a [String], is_terminal: bool) -> Self {
        Self { names, is_terminal, running: Vec::new(), drawn: 0, done: 0 }
    }

    /// A run begins.
    pub(super) fn started(&mut self, index: usize) -> String {
        self.running.push((index, Instant::now()));
        self.tick()
    }

    /// A run has ended.
    pub(super) fn ended(&mut self, index: usize, result: &RunResult) -> String {
        self.running.retain(|(other, _)| *other != index);
        self.done += 1;
        let time = result.last.time.as_secs_f64();
        let word = verdict_word(result);
        let mut line = format!("{word:<5} {time:>7.1}s  {}", self.names[index]);
        if !result.passed() {
            let _ = write!(line, ": {}", sentence(&result.last));
        }
        line.push('\n');
        self.redrawn(&line)
    }

    /// Nothing is new but the time.
    pub(super) fn tick(&mut self) -> String {
        if self.is_terminal { self.redrawn("") } else { String::new() }
    }

    /// All runs have ended.
    pub(super) fn finish(&mut self) -> String {
        self.running.clear();
        let text = self.erased();
        self.drawn = 0;
        text
    }

    /// Goes up to the first line that is drawn anew, and clears from there
    /// (ECMA-48 §8.3.22, §8.3.39).
    fn erased(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn) }
    }

    fn redrawn(&mut self, finished: &str) -> String {
        if !self.is_terminal {
            return finished.to_owned();
        }
        let mut text = self.erased() + finished;
        for (index, began) in self.running.iter().take(SHOWN) {
            let name: String = self.names[*index].chars().take(WIDTH).collect();
            let _ = writeln!(text, "      {:>7.1}s  {name}", began.elapsed().as_secs_f64());
        }
        let _ = writeln!(text, "{} of {} done", self.done, self.names.len());
        self.drawn = self.running.len().min(SHOWN) + 1;
        text
    }
}
