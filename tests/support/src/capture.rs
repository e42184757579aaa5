use std::io::{ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Everything that comes out of a stream, as it comes.
#[derive(Clone)]
pub(crate) struct Capture {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Capture {
    /// Reads `stream` to its end in a thread of its own; with an `end`, that
    /// ends it too.
    pub(crate) fn start(stream: impl Read + Send + 'static, end: Option<&'static [u8]>) -> Self {
        let capture = Self { shared: Arc::default() };
        let writer = capture.clone();
        thread::spawn(move || writer.fill(stream, end));
        capture
    }

    /// What of nothing has come, and will.
    pub(crate) fn nothing() -> Self {
        let capture = Self { shared: Arc::default() };
        capture.lock().ended = true;
        capture
    }

    fn fill(&self, mut stream: impl Read, end: Option<&[u8]>) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            // A terminal whose other side is closed gives EIO.
            let count = match stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.unwrap_or(0),
            };
            let mut state = self.lock();
            state.bytes.extend_from_slice(&buffer[..count]);
            if let Some(rest) = end.and_then(|end| state.bytes.strip_suffix(end)) {
                let length = rest.len();
                state.bytes.truncate(length);
                state.ended = true;
            }
            state.ended |= count == 0;
            let ended = state.ended;
            self.shared.1.notify_all();
            if ended {
                return;
            }
        }
    }

    /// All bytes so far.
    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// Waits until `text` has come after byte `from`; returns where it ends.
    /// `None` if the stream ends, or at the deadline.
    pub(crate) fn wait_for(&self, text: &[u8], from: usize, deadline: Instant) -> Option<usize> {
        let mut state = self.lock();
        let mut searched = from;
        loop {
            let found = state.bytes[searched..].windows(text.len()).position(|w| w == text);
            if let Some(at) = found {
                return Some(searched + at + text.len());
            }
            searched = state.bytes.len().saturating_sub(text.len() - 1).max(from);
            if state.ended {
                return None;
            }
            state = self.wait(state, deadline)?;
        }
    }

    /// Waits for the end of the stream; false at the deadline.
    pub(crate) fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        while !state.ended {
            match self.wait(state, deadline) {
                Some(again) => state = again,
                None => return false,
            }
        }
        true
    }

    fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> Option<MutexGuard<'a, State>> {
        let left = deadline.checked_duration_since(Instant::now())?;
        Some(self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
