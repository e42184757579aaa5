use crate::exit::Verdict;

/// How a run went that came to an end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The latest output of the console that had most, at most
    /// [`Outcome::TAIL`] bytes if a report was asked for, else 4 KiB.
    pub tail: Vec<u8>,
    /// How many oopses the kernel has reported on a console.
    pub oopses: u32,
    /// How many warnings of its own.
    pub warnings: u32,
    /// The first of either.
    pub complaint: Option<String>,
    /// Lines that say where the guest was when its time was up; none if it
    /// ended otherwise.
    pub whereabouts: Vec<String>,
}

impl Outcome {
    /// How much console output a report has, in bytes.
    pub const TAIL: usize = 64 << 10;
}
