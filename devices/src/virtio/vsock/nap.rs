use std::time::Duration;

/// Bytes of one look that make a stream.
const STREAM: u64 = 32 << 10;
/// The first nap of a stream.
const FIRST: Duration = Duration::from_micros(128);
/// A stream that needs a look more often has the guest ring.
const SHORTEST: Duration = Duration::from_micros(16);
/// One that has less than [`STREAM`] in this time is none.
const LONGEST: Duration = Duration::from_micros(256);

/// What came from the guest since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    bytes: u64,
    window: u64,
}

impl Flow {
    /// Adds `bytes` of a connection whose guest may have `window` bytes on
    /// their way.
    pub(super) fn add(&mut self, bytes: u32, window: u32) {
        let window = u64::from(window);
        self.bytes += u64::from(bytes);
        self.window = if self.window == 0 { window } else { self.window.min(window) };
    }
}

/// When to look for what comes next from the guest.
///
/// A doorbell and an interrupt for each packet or two cost a guest that streams
/// more than the packets. So while it does, nobody waits for the doorbell: the
/// device naps, the guest goes on within its credit, and what has come meanwhile
/// goes on at once. A nap is so short that the guest has credit until its end.
/// Whoever sends little has every packet seen at once.
#[derive(Debug, Default)]
pub(super) struct Naps {
    /// The last one, if a stream flows.
    last: Option<Duration>,
}

impl Naps {
    /// How long to nap after a look that found `flow`, and then nothing more;
    /// `None` if the guest is to ring.
    pub(super) fn next(&mut self, flow: Flow) -> Option<Duration> {
        let streams = flow.bytes >= STREAM;
        self.last = match self.last {
            None => streams.then_some(FIRST),
            Some(_) if flow.bytes == 0 => None,
            Some(last) if flow.bytes >= flow.window / 2 => {
                Some(last / 2).filter(|nap| *nap >= SHORTEST)
            }
            Some(LONGEST) => streams.then_some(LONGEST),
            Some(last) if flow.bytes < flow.window / 4 => Some(LONGEST.min(last * 2)),
            Some(last) => Some(last),
        };
        self.last
    }
}
