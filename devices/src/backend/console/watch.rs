use std::collections::VecDeque;

use super::facts::ConsoleFacts;
use super::strip::Strip;

/// How much of a line is looked at for what the kernel says, and how much of
/// such a line is kept.
const LINE_HEAD: usize = 256;
/// How much of a line somebody's test sees.
const LINE: usize = 4096;
/// How much of the latest output is kept, unless more is asked for.
const TAIL: usize = 4096;

/// Looks at a line of the console, of at most 4 KiB, without its end and
/// without escape sequences; returns whether that is news to whoever waits.
/// It is called on vCPU threads with a lock held: it must be quick, and must
/// not ask the console anything.
pub type LineTest = Box<dyn FnMut(&str) -> bool + Send>;

/// Reads the output along, byte by byte, in bounded memory.
pub(super) struct Watch {
    /// The line so far.
    line: Vec<u8>,
    strip: Strip,
    /// The line feed of a carriage return with line feed begins no line.
    returned: bool,
    tail: VecDeque<u8>,
    tail_size: usize,
    /// How many bytes there were.
    total: u64,
    facts: ConsoleFacts,
    test: Option<LineTest>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            strip: Strip::default(),
            returned: false,
            tail: VecDeque::new(),
            tail_size: TAIL,
            total: 0,
            facts: ConsoleFacts::default(),
            test: None,
        }
    }
}

impl Watch {
    /// Takes the next byte; returns whether it brought news: the end of a
    /// panic's report, or what the test calls so.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        self.facts.any_output = true;
        self.total += 1;
        if self.tail.len() >= self.tail_size {
            self.tail.pop_front();
        }
        self.tail.push_back(byte);
        if matches!(byte, b'\n' | b'\r') {
            return self.end_line(byte);
        }
        self.returned = false;
        let limit = if self.test.is_some() { LINE } else { LINE_HEAD };
        if self.strip.keeps(byte) && self.line.len() < limit {
            self.line.push(byte);
        }
        false
    }

    fn end_line(&mut self, byte: u8) -> bool {
        self.strip = Strip::default();
        let is_second_half = byte == b'\n' && self.returned;
        self.returned = byte == b'\r';
        if is_second_half {
            return false;
        }
        let ended = self.facts.learn(head(&self.line));
        let is_news = self.test_line();
        self.line.clear();
        ended || is_news
    }

    /// Has the line so far tested as if it had ended; returns whether that is
    /// news.
    pub(super) fn test_line(&mut self) -> bool {
        match &mut self.test {
            Some(test) => test(&String::from_utf8_lossy(&self.line)),
            None => false,
        }
    }

    /// Has `test` see every line from now on.
    pub(super) fn test_lines(&mut self, test: LineTest) {
        self.test = Some(test);
    }

    /// What is known, the line that has not ended yet included.
    pub(super) fn facts(&self) -> ConsoleFacts {
        let mut facts = self.facts.clone();
        facts.learn(head(&self.line));
        facts
    }

    /// How many bytes there were.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// From now on keeps that much of the latest output.
    pub(super) fn keep_tail(&mut self, size: usize) {
        self.tail_size = size;
    }

    /// The latest output.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.tail.iter().copied().collect()
    }
}

fn head(line: &[u8]) -> &[u8] {
    &line[..line.len().min(LINE_HEAD)]
}
