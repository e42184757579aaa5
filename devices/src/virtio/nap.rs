use std::time::Duration;

/// Bytes of one look that make a stream.
const STREAM: u64 = 32 << 10;
/// A stream that needs a look more often has the guest ring.
const SHORTEST: Duration = Duration::from_micros(16);

/// What came from the guest since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    bytes: u64,
    window: u64,
}

impl Flow {
    /// Adds `bytes` of a guest that may have `window` bytes on their way.
    pub(crate) fn add(&mut self, bytes: u64, window: u64) {
        self.bytes += bytes;
        self.window = if self.window == 0 { window } else { self.window.min(window) };
    }
}

/// When to look for what comes next from the guest.
///
/// A doorbell and an interrupt for each packet or two cost a guest that streams
/// more than the packets. So while it does, nobody waits for the doorbell: the
/// device naps, the guest goes on within its window, and what has come meanwhile
/// goes on at once. A nap is so short that the window lasts until its end.
/// Whoever sends little has every packet seen at once.
#[derive(Clone, Debug)]
pub(crate) struct Naps {
    /// The first one of a stream.
    first: Duration,
    /// What has less than [`STREAM`] in this time is no stream.
    longest: Duration,
    /// The last one, if a stream flows.
    last: Option<Duration>,
}

impl Naps {
    /// Naps of which a stream begins with the `first`, and has no longer one
    /// than the `longest`.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, last: None }
    }

    /// How long to nap after a look that found `flow`, and then nothing more;
    /// `None` if the guest is to ring.
    pub(crate) fn next(&mut self, flow: Flow) -> Option<Duration> {
        let streams = flow.bytes >= STREAM;
        self.last = match self.last {
            None => streams.then_some(self.first),
            Some(_) if flow.bytes == 0 => None,
            Some(last) if flow.bytes >= flow.window / 2 => {
                Some(last / 2).filter(|nap| *nap >= SHORTEST)
            }
            Some(last) if last >= self.longest => streams.then_some(last),
            Some(last) if flow.bytes < flow.window / 4 => Some(self.longest.min(last * 2)),
            Some(last) => Some(last),
        };
        self.last
    }
}
