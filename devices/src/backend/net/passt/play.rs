use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;

use super::Passt;

/// Plays `data` as what passt sends: of each part, the first byte says how
/// long it is, and what has come whole is taken in between.
///
/// # Panics
/// If a frame is none, comes changed, or the stream goes on after an error.
pub fn play_passt(data: &[u8]) {
    let (mut passt, ends) = Passt::pair(1500).expect("the host has descriptors");
    let mut peer = UnixStream::from(ends.stream);
    let mut sent = Vec::new();
    let mut taken = 0;
    let mut data = data;
    while let Some((len, rest)) = data.split_first() {
        let (part, rest) = rest.split_at(rest.len().min((*len).into()));
        data = rest;
        peer.write_all(part).expect("the socket has room for an input");
        sent.extend_from_slice(part);
        loop {
            match passt.receive_frame() {
                Ok(frame) => taken = find(&sent, taken, frame),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
                    let again = passt.receive_frame().expect_err("the stream is lost");
                    assert_eq!(again.kind(), ErrorKind::InvalidData, "{again}");
                    return;
                }
            }
        }
    }
    drop(peer);
    let end = passt.receive_frame().expect_err("the stream has ended");
    assert_eq!(end.kind(), ErrorKind::UnexpectedEof, "{end}");
}

/// Where `frame` ends in the stream that was `sent`, past what was `taken`.
fn find(sent: &[u8], mut taken: usize, frame: &[u8]) -> usize {
    loop {
        let (len, rest) = sent[taken..].split_first_chunk().expect("a frame has a length");
        let len = usize::try_from(u32::from_be_bytes(*len)).expect("32 bits fit");
        taken += 4 + len;
        if len >= 14 {
            assert!(rest[..len] == *frame, "a frame comes changed");
            return taken;
        }
    }
}
