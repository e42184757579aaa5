use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// An Ethernet header, the least that a frame has, in bytes.
pub(super) const FRAME_MIN: usize = 14;
/// The largest packet with its Ethernet header, in bytes.
pub(super) const FRAME_MAX: usize = 65535 + FRAME_MIN;
/// Length of the length before each frame, in bytes.
pub(super) const PREFIX: usize = 4;

/// Room for a frame of the largest size and as much again: many small ones
/// come with one read.
const ROOM: usize = 128 << 10;
/// Room for frames that the guest cannot take yet, in bytes.
const HELD: usize = 1 << 20;

/// Cuts a stream into frames, however it comes in pieces.
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// What has come and was not taken: `bytes[start..end]`.
    start: usize,
    end: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        // Zeroed memory costs the host nothing until it is read into.
        Self { bytes: vec![0; ROOM], start: 0, end: 0 }
    }

    /// Whether [`next`](Self::next) has more to say than that nothing has come.
    pub(super) fn has_next(&self) -> bool {
        let come = &self.bytes[self.start..self.end];
        come.split_first_chunk::<PREFIX>().is_some_and(|(len, rest)| {
            usize::try_from(u32::from_be_bytes(*len))
                .is_ok_and(|len| len <= rest.len() || len > FRAME_MAX)
        })
    }

    /// Takes the next frame that has come whole: where its [`bytes`](Self::bytes)
    /// are. Those too short to be one are left out.
    ///
    /// # Errors
    /// `InvalidData` if a frame is longer than any can be: where the one after
    /// it starts is then unknown for good.
    pub(super) fn next(&mut self) -> io::Result<Option<Range<usize>>> {
        loop {
            let come = &self.bytes[self.start..self.end];
            let Some((len, rest)) = come.split_first_chunk::<PREFIX>() else { return Ok(None) };
            let len = u32::from_be_bytes(*len);
            let len =
                usize::try_from(len).ok().filter(|len| *len <= FRAME_MAX).ok_or_else(|| {
                    let what = format!("passt sends a frame of {len} bytes, which none can have");
                    io::Error::new(ErrorKind::InvalidData, what)
                })?;
            if rest.len() < len {
                return Ok(None);
            }
            let start = self.start + PREFIX;
            self.start = start + len;
            if len >= FRAME_MIN {
                return Ok(Some(start..self.start));
            }
        }
    }

    /// The bytes of a frame that was the last taken.
    pub(super) fn bytes(&self, frame: Range<usize>) -> &[u8] {
        &self.bytes[frame]
    }

    /// Reads once from `stream`, to be called when [`next`](Self::next) has
    /// none left. True if more may wait there.
    ///
    /// # Errors
    /// `UnexpectedEof` at the stream's end, or what the read said.
    pub(super) fn fill(&mut self, mut stream: impl Read) -> io::Result<bool> {
        if self.start == self.end && self.bytes.len() > ROOM {
            *self = Self::new();
        }
        // Of frames that are not held only a part of one is left.
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = &mut self.bytes[self.end..];
        let len = stream.read(room)?;
        if len == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let is_full = len == room.len();
        self.end += len;
        Ok(is_full)
    }

    /// Reads once from `stream` though frames are left: those wait here. Once
    /// they are too many the oldest are dropped, as acknowledgements among the
    /// newest stand for all before them. True if more may wait there.
    ///
    /// # Errors
    /// Those of [`next`](Self::next) and [`fill`](Self::fill).
    pub(super) fn hold(&mut self, stream: impl Read) -> io::Result<bool> {
        if self.bytes.len() - (self.end - self.start) < ROOM {
            if self.bytes.len() < HELD {
                self.bytes.resize(self.bytes.len() + ROOM, 0);
            } else {
                while self.end - self.start > HELD / 2 && self.next()?.is_some() {}
            }
        }
        self.fill(stream)
    }
}
