use std::io;
use std::sync::Arc;

use super::Output;
use super::output::Limits;

/// Who reads a console's output, for tests: only when it is told to.
pub struct TestReader {
    output: Arc<Output>,
}

impl TestReader {
    /// A reader of an output that is busy once `room` bytes wait.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(room: usize) -> io::Result<Self> {
        let limits = Limits { soft: room, low: 0, hard: usize::MAX };
        Ok(Self { output: Arc::new(Output::new(true, limits)?) })
    }

    /// The output.
    pub fn output(&self) -> &Arc<Output> {
        &self.output
    }

    /// Reads all that waits.
    pub fn read(&self) -> Vec<u8> {
        self.output.read_all()
    }
}
