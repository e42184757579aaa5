use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{setsockopt, sockopt};
use vm_memory::{Bytes, VolatileSlice};
use vmm_core::sys;

use super::frames::{FRAME_MAX, FRAME_MIN, Frames, PREFIX};
use super::words::Words;
use crate::backend::net::{NetBackend, Offloads};
use crate::virtio::spec::net::HEADER_LEN;

/// Frames that may wait in each direction, in bytes; the host allows less.
///
/// The kernel takes some 36,000 bytes as one piece, and each piece whole while
/// less than this waits. A full socket so cuts only larger frames, of up to 64
/// KiB, and between their two pieces: the rest is one piece. passt of 2023 needs
/// that: it loses its place in the stream when the rest of a frame comes in parts.
const IN_FLIGHT: usize = 512 << 10;

/// The guest's end of a connection with passt.
pub struct Passt {
    stream: UnixStream,
    words: Words,
    mtu: u16,
    frames: Frames,
    /// The end of a frame that the socket took in part.
    rest: Vec<u8>,
}

/// The most reads at once of what the guest cannot take. More comes meanwhile.
const READS: usize = 16;

/// What passt is to inherit. Whoever holds on to it does not see passt end.
#[derive(Debug)]
pub struct PasstEnds {
    /// Its end of the connection.
    pub stream: OwnedFd,
    /// Its stderr. It does not wait for a reader.
    pub words: OwnedFd,
}

impl Passt {
    /// A connection for packets of up to `mtu` bytes: this end, and passt's.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn pair(mtu: u16) -> io::Result<(Self, PasstEnds)> {
        let (stream, peer) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        for end in [&stream, &peer] {
            setsockopt(end, sockopt::SndBuf, &IN_FLIGHT)?;
        }
        let (words, its_words) = Words::pipe()?;
        let this = Self { stream, words, mtu, frames: Frames::new(), rest: Vec::new() };
        Ok((this, PasstEnds { stream: peer.into(), words: its_words }))
    }

    /// The next frame. Never waits.
    ///
    /// # Errors
    /// `WouldBlock` if none has come whole; `Interrupted` if a signal came;
    /// `UnexpectedEof` or `ConnectionReset` if passt has ended. Others are the
    /// end of the connection, too.
    pub fn receive_frame(&mut self) -> io::Result<&[u8]> {
        let frame = self.take_frame()?;
        Ok(self.frames.bytes(frame))
    }

    /// Sends a frame, whose pieces are at most 1023. What the socket takes
    /// only in part goes out with the next call of this or [`flush`](Self::flush).
    ///
    /// # Errors
    /// `WouldBlock` if the socket is full: nothing was taken. `InvalidInput`
    /// if it is no frame. Else passt is gone.
    pub fn send_frame(&mut self, frame: &[VolatileSlice<'_>]) -> io::Result<()> {
        self.flush()?;
        let len: usize = frame.iter().map(VolatileSlice::len).sum();
        if !(FRAME_MIN..=FRAME_MAX).contains(&len) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut prefix = u32::try_from(len).expect("at most FRAME_MAX").to_be_bytes();
        let mut pieces = Vec::with_capacity(1 + frame.len());
        pieces.push(VolatileSlice::from(&mut prefix[..]));
        pieces.extend_from_slice(frame);
        // One call for one frame: passt of 2023 loses its place if a length
        // comes without anything behind it.
        let sent = sys::write_once(&self.stream, &pieces)?;
        if sent < PREFIX + len {
            self.keep_rest(&pieces, sent);
        }
        Ok(())
    }

    /// Sends what is left of a frame.
    ///
    /// # Errors
    /// `WouldBlock` if the socket is full still; else passt is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            let sent = sys::write_once(&self.stream, &[VolatileSlice::from(&mut self.rest[..])])?;
            self.rest.drain(..sent);
        }
        Ok(())
    }

    /// What passt has said since it was last asked, as one line.
    pub fn words(&self) -> String {
        self.words.take()
    }

    fn take_frame(&mut self) -> io::Result<Range<usize>> {
        let mut may_have_more = true;
        loop {
            if let Some(frame) = self.frames.next()? {
                return Ok(frame);
            }
            // What comes after a short read wakes the loop again.
            if !may_have_more {
                return Err(ErrorKind::WouldBlock.into());
            }
            may_have_more = self.frames.fill(&self.stream)?;
        }
    }

    fn keep_rest(&mut self, pieces: &[VolatileSlice<'_>], mut sent: usize) {
        for piece in pieces {
            let skip = sent.min(piece.len());
            sent -= skip;
            let start = self.rest.len();
            self.rest.resize(start + piece.len() - skip, 0);
            let piece = piece.offset(skip).expect("at most its length");
            piece.copy_to(&mut self.rest[start..]);
        }
    }

    /// An error of the stream, with passt's own words if it is the end.
    fn explain(&self, error: io::Error) -> io::Error {
        if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) {
            return error;
        }
        let words = self.words();
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        io::Error::new(error.kind(), format!("passt has ended{said}"))
    }
}

impl NetBackend for Passt {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn mtu(&self) -> Option<u16> {
        Some(self.mtu)
    }

    /// None: passt takes whole packets with their checksums.
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }

    fn set_offloads(&mut self, _offloads: Offloads) -> io::Result<()> {
        Ok(())
    }

    /// There is one pair, which takes part.
    fn set_enabled(&mut self, _enabled: bool) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, room: &[VolatileSlice<'_>]) -> io::Result<usize> {
        let frame = self.take_frame().map_err(|error| self.explain(error))?;
        let mut done = 0;
        for part in [&[0; HEADER_LEN][..], self.frames.bytes(frame)] {
            done += copy_to(room, done, part);
        }
        Ok(done)
    }

    fn has_packet(&self) -> bool {
        self.frames.has_next()
    }

    /// passt waits until the rest of a frame is taken, and reads nothing
    /// meanwhile. That of 2023 does not acknowledge again what it has
    /// acknowledged: a frame is dropped only if there is no other way.
    fn relieve(&mut self) -> bool {
        for _ in 0..READS {
            // An error will be met again.
            if !matches!(self.frames.hold(&self.stream), Ok(true)) {
                break;
            }
        }
        true
    }

    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()> {
        // The first is the header, of which nothing is to be done.
        self.send_frame(packet.get(1..).unwrap_or_default())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }
}

/// Copies `bytes` to what is behind the first `skip` bytes of `room`; returns
/// how many found room.
fn copy_to(room: &[VolatileSlice<'_>], mut skip: usize, bytes: &[u8]) -> usize {
    let mut done = 0;
    for piece in room {
        let start = skip.min(piece.len());
        skip -= start;
        // `write` of an empty slice is no error.
        done += piece.offset(start).map_or(0, |piece| piece.write(&bytes[done..], 0).unwrap_or(0));
    }
    done
}
