use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use proptest::prelude::*;
use vm_memory::VolatileSlice;

use super::frames::FRAME_MAX;
use super::*;
use crate::backend::net::NetBackend;
use crate::virtio::testing::eventually;

fn pair() -> (Passt, UnixStream, std::fs::File) {
    let (passt, ends) = Passt::pair(1500).unwrap();
    let peer = UnixStream::from(ends.stream);
    peer.set_nonblocking(true).unwrap();
    (passt, peer, ends.words.into())
}

fn with_length(frame: &[u8]) -> Vec<u8> {
    let len = u32::try_from(frame.len()).unwrap();
    [&len.to_be_bytes()[..], frame].concat()
}

fn send(passt: &mut Passt, frame: &mut [u8], cuts: &[usize]) -> std::io::Result<()> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (frame.len() + 1)).collect();
    ends.sort_unstable();
    let mut pieces = Vec::new();
    let mut rest = frame;
    let mut start = 0;
    for end in ends {
        let (piece, after) = rest.split_at_mut(end - start);
        pieces.push(VolatileSlice::from(piece));
        (rest, start) = (after, end);
    }
    pieces.push(VolatileSlice::from(rest));
    passt.send_frame(&pieces)
}

fn error(passt: &mut Passt) -> std::io::Error {
    passt.receive(&[]).unwrap_err()
}

/// How it says that its other end was closed. A process that another test
/// starts has a copy of that until it runs its program.
fn end(passt: &mut Passt) -> std::io::Error {
    eventually(|| Some(error(passt)).filter(|error| error.kind() != ErrorKind::WouldBlock))
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len = prop_oneof![4 => 0..80_usize, 2 => 1400..1600_usize, 1 => 60_000..=FRAME_MAX];
    let frame = (len, any::<u8>()).prop_map(|(len, first)| {
        (0..len).map(|i| first.wrapping_add(i.to_le_bytes()[0])).collect::<Vec<u8>>()
    });
    prop::collection::vec(frame, 0..24)
}

proptest! {
    #[test]
    fn frames_come_whole_wherever_the_stream_is_cut(
        frames in frames(),
        parts in prop::collection::vec(1..70_000_usize, 1..16),
    ) {
        let (mut passt, mut peer, _words) = pair();
        peer.set_nonblocking(false).unwrap();
        let stream: Vec<u8> = frames.iter().flat_map(|frame| with_length(frame)).collect();
        let mut got = Vec::new();
        let mut rest = &stream[..];
        for len in parts.iter().cycle() {
            let (part, after) = rest.split_at(rest.len().min(*len));
            peer.write_all(part).unwrap();
            rest = after;
            loop {
                match passt.receive_frame() {
                    Ok(frame) => got.push(frame.to_vec()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        let expected: Vec<_> = frames.into_iter().filter(|frame| frame.len() >= 14).collect();
        prop_assert!(got == expected);
    }

    #[test]
    fn frames_go_out_whole_wherever_their_buffers_end(
        frames in frames(),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
    ) {
        let (mut passt, mut peer, _words) = pair();
        let mut got = Vec::new();
        let mut expected = Vec::new();
        for mut frame in frames {
            loop {
                match send(&mut passt, &mut frame, &cuts) {
                    Ok(()) => expected.extend(with_length(&frame)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        // passt reads, and there is room again.
                        let mut some = vec![0; 50_000];
                        let len = peer.read(&mut some).unwrap();
                        got.extend_from_slice(&some[..len]);
                        continue;
                    }
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
                        prop_assert!(frame.len() < 14);
                    }
                }
                break;
            }
        }
        // What a socket had no room for goes out once it has.
        while got.len() < expected.len() {
            let mut some = vec![0; 50_000];
            let len = peer.read(&mut some).unwrap();
            got.extend_from_slice(&some[..len]);
            match passt.flush() {
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
        }
        prop_assert!(got == expected);
    }
}

#[test]
fn a_full_socket_takes_nothing_and_loses_nothing() {
    let (mut passt, mut peer, _words) = pair();
    let mut sent = 0;
    let full = loop {
        match send(&mut passt, &mut [0x5a; 1000], &[]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert!(sent > 100, "{sent}");
    let mut got = Vec::new();
    while got.len() < sent * 1004 {
        let mut some = [0; 4096];
        let len = peer.read(&mut some).unwrap();
        got.extend_from_slice(&some[..len]);
    }
    assert!(got == with_length(&[0x5a; 1000]).repeat(sent));
    send(&mut passt, &mut [0xa5; 1000], &[]).unwrap();
}

#[test]
fn a_frame_that_the_socket_took_in_part_goes_on_where_it_was_cut() {
    let (mut passt, mut peer, _words) = pair();
    // The least room that the host gives, so that a large frame is cut.
    nix::sys::socket::setsockopt(&passt.poll_fd(), nix::sys::socket::sockopt::SndBuf, &1).unwrap();
    let mut frame: Vec<u8> = (0..FRAME_MAX).map(|i| i.to_le_bytes()[0]).collect();
    send(&mut passt, &mut frame, &[3, 70, 5000]).unwrap();
    assert_eq!(passt.flush().unwrap_err().kind(), ErrorKind::WouldBlock);
    let refused = send(&mut passt, &mut [0; 60], &[]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let mut got = Vec::new();
    while got.len() < 4 + frame.len() {
        let mut some = [0; 1000];
        let len = peer.read(&mut some).unwrap();
        got.extend_from_slice(&some[..len]);
        let _ = passt.flush();
    }
    assert!(got == with_length(&frame));
}

#[test]
fn a_length_that_no_frame_has_ends_the_connection() {
    let (mut passt, mut peer, _words) = pair();
    let stream = [with_length(&[1; 60]), vec![0, 1, 0, 14], vec![0; 70_000]].concat();
    peer.set_nonblocking(false).unwrap();
    peer.write_all(&stream).unwrap();
    assert_eq!(passt.receive_frame().unwrap(), [1; 60]);
    let first = error(&mut passt);
    assert_eq!(first.kind(), ErrorKind::InvalidData);
    assert_eq!(first.to_string(), "passt sends a frame of 65550 bytes, which none can have");
    assert_eq!(error(&mut passt).kind(), ErrorKind::InvalidData);
}

#[test]
fn the_end_of_passt_comes_after_its_frames_and_with_its_words() {
    let (mut passt, mut peer, mut words) = pair();
    peer.write_all(&with_length(&[7; 14])).unwrap();
    words.write_all(b"Failed to send 9 bytes to syslog\n\nno\nway \n").unwrap();
    drop((peer, words));
    assert_eq!(passt.receive_frame().unwrap(), [7; 14]);
    let end = end(&mut passt);
    assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(end.to_string(), "passt has ended: no; way");
    assert_eq!(error(&mut passt).to_string(), "passt has ended");
}

#[test]
fn an_end_with_frames_unread_is_an_end() {
    let (mut passt, peer, words) = pair();
    send(&mut passt, &mut [0; 60], &[]).unwrap();
    drop((peer, words));
    let end = end(&mut passt);
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    assert_eq!(end.to_string(), "passt has ended");
    assert_eq!(send(&mut passt, &mut [0; 60], &[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn words_that_nobody_reads_do_not_make_passt_wait() {
    let (passt, _peer, mut words) = pair();
    let line = [b'x'; 4096];
    let full = loop {
        if let Err(error) = words.write_all(&line) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert_eq!(passt.words().len(), 500);
}

#[test]
fn packets_have_a_header_of_zeros_that_passt_does_not_see() {
    let (mut passt, mut peer, _words) = pair();
    peer.write_all(&with_length(&[9; 20])).unwrap();
    let mut room = [0xff; 40];
    let (front, back) = room.split_at_mut(5);
    let (middle, back) = back.split_at_mut(0);
    let pieces = [front, middle, back].map(VolatileSlice::from);
    assert_eq!(passt.receive(&pieces).unwrap(), 32);
    assert_eq!(room[..32], [vec![0; 12], vec![9; 20]].concat());

    let mut header = [1; 12];
    let mut frame = [3; 15];
    let pieces = [&mut header[..], &mut frame[..]].map(VolatileSlice::from);
    passt.send(&pieces).unwrap();
    let mut got = [0; 100];
    assert_eq!(peer.read(&mut got).unwrap(), 19);
    assert_eq!(got[..19], with_length(&[3; 15]));
}

#[test]
fn a_frame_is_cut_to_the_room_it_finds() {
    let (mut passt, mut peer, _words) = pair();
    peer.write_all(&[with_length(&[1; 30]), with_length(&[2; 14])].concat()).unwrap();
    let mut room = [0xff; 20];
    assert_eq!(passt.receive(&[VolatileSlice::from(&mut room[..])]).unwrap(), 20);
    assert_eq!(room[12..], [1; 8]);
    assert_eq!(passt.receive_frame().unwrap(), [2; 14]);
}

#[test]
fn of_frames_that_nobody_takes_only_the_newest_are_kept() {
    let (mut passt, mut peer, _words) = pair();
    let numbered = |number: u32| [&[0; 996][..], &number.to_be_bytes()].concat();
    let number_of = |frame: &[u8]| u32::from_be_bytes(frame[996..].try_into().unwrap());
    const SENT: u32 = 4000;
    for number in 0..SENT {
        peer.write_all(&with_length(&numbered(number))).unwrap();
        if number % 50 == 0 {
            assert!(passt.relieve());
        }
    }
    let first = number_of(passt.receive_frame().unwrap());
    // At least half of a MiB is kept, and at most a MiB and what waits outside.
    assert!((SENT - 1200..SENT - 500).contains(&first), "{first}");
    for number in first + 1..SENT {
        assert_eq!(number_of(passt.receive_frame().unwrap()), number);
    }
    assert_eq!(error(&mut passt).kind(), ErrorKind::WouldBlock);
}
