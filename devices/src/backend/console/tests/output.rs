use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use vmm_core::event::RequestSender;

use super::super::output::Limits;
use super::super::{Output, Sink, Writer};
use crate::virtio::testing::PATIENCE;

const SMALL: Limits = Limits { soft: 8 << 10, low: 2 << 10, hard: 32 << 10 };
/// What a pipe holds.
const PIPE: usize = 64 << 10;

fn far() -> Instant {
    Instant::now() + PATIENCE
}

fn to(fd: impl Into<OwnedFd>, limits: Limits) -> Writer {
    let sink = Sink::File { file: File::from(fd.into()), path: "the test's file".into() };
    Writer::with_limits(sink, "console", RequestSender::new().unwrap(), limits).unwrap()
}

fn piped(limits: Limits) -> (Writer, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    (to(writer, limits), reader)
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251).to_le_bytes()[0]).collect()
}

fn push_all(output: &Output, bytes: &[u8]) {
    bytes.iter().for_each(|b| output.push(*b));
}

fn rest(mut reader: PipeReader) -> Vec<u8> {
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    got
}

/// A pipe in which every write is a packet of its own (`O_DIRECT`).
fn packets() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::O_DIRECT)).unwrap();
    (reader, writer)
}

fn packet(reader: &mut PipeReader) -> Vec<u8> {
    let mut buffer = [0; 8192];
    let count = reader.read(&mut buffer).unwrap();
    buffer[..count].to_vec()
}

#[test]
fn ten_megabytes_through_an_unread_pipe_arrive_whole() {
    let (writer, reader) = piped(Limits::SERIAL);
    writer.start();
    let bytes = pattern(10_000_000);
    // Returns although nobody reads: the guest is not held up.
    push_all(writer.output(), &bytes);
    assert!(writer.output().is_busy());
    let reader = std::thread::spawn(move || rest(reader));
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert!(reader.join().unwrap() == bytes);
}

/// A thread that pushes more than the pipe and the queue hold, and whether it
/// is through.
fn overfill(output: &Arc<Output>) -> (std::thread::JoinHandle<()>, Arc<AtomicBool>) {
    let through = Arc::new(AtomicBool::new(false));
    let (output, set) = (Arc::clone(output), Arc::clone(&through));
    let pusher = std::thread::spawn(move || {
        push_all(&output, &pattern(PIPE + 2 * SMALL.hard));
        set.store(true, Ordering::SeqCst);
    });
    (pusher, through)
}

/// Waits until so much is queued that a vCPU has to wait.
fn wait_until_full(output: &Output) {
    while output.level() < SMALL.hard {
        std::thread::yield_now();
    }
}

#[test]
fn a_guest_that_does_not_heed_waits_at_the_hard_limit_and_loses_nothing() {
    let (writer, reader) = piped(SMALL);
    writer.start();
    let (pusher, through) = overfill(writer.output());
    wait_until_full(writer.output());
    assert!(!through.load(Ordering::SeqCst));
    let reader = std::thread::spawn(move || rest(reader));
    pusher.join().unwrap();
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert!(reader.join().unwrap() == pattern(PIPE + 2 * SMALL.hard));
}

#[test]
fn a_waiting_guest_is_released_when_the_machine_stops() {
    let (writer, reader) = piped(SMALL);
    writer.start();
    let (pusher, _) = overfill(writer.output());
    wait_until_full(writer.output());
    writer.output().release();
    pusher.join().unwrap();
    let lost = writer.finish(Instant::now()).unwrap();
    let got = rest(reader);
    assert_eq!(got.len() + lost, PIPE + 2 * SMALL.hard);
    assert!(got == pattern(got.len()), "what was written is the beginning");
}

/// A pipe with no room left, so that a write blocks before its first byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[0; 4096]).is_ok() {}
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn a_reader_that_goes_away_sets_a_waiting_guest_free() {
    let (reader, writer) = full_pipe();
    let writer = to(writer, SMALL);
    writer.start();
    let (pusher, _) = overfill(writer.output());
    wait_until_full(writer.output());
    drop(reader);
    pusher.join().unwrap();
    assert!(!writer.output().is_busy());
    push_all(writer.output(), &pattern(2 * SMALL.hard));
    assert_eq!(writer.finish(far()).unwrap(), 0);
}

#[test]
fn an_unread_pipe_does_not_hold_up_the_end() {
    let (writer, reader) = piped(Limits::SERIAL);
    writer.start();
    push_all(writer.output(), &pattern(3 * PIPE));
    let lost = writer.finish(Instant::now()).unwrap();
    assert!(lost >= 2 * PIPE, "{lost}");
    assert!(rest(reader) == pattern(3 * PIPE - lost));
}

#[test]
fn dropping_the_writer_does_not_hang_on_an_unread_pipe() {
    let (writer, reader) = piped(Limits::SERIAL);
    writer.start();
    push_all(writer.output(), &pattern(2 * PIPE));
    drop(writer);
    assert!(rest(reader).len() <= PIPE);
}

#[test]
fn the_last_bytes_before_an_instant_end_are_written() {
    for round in 0..50 {
        let (writer, reader) = piped(Limits::SERIAL);
        let reader = std::thread::spawn(move || rest(reader));
        writer.start();
        let bytes = pattern(PIPE + round);
        push_all(writer.output(), &bytes);
        assert_eq!(writer.finish(far()).unwrap(), 0);
        assert!(reader.join().unwrap() == bytes);
    }
}

#[test]
fn what_is_pushed_before_the_start_is_written_by_the_end() {
    let (writer, reader) = piped(Limits::SERIAL);
    push_all(writer.output(), b"early");
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert_eq!(rest(reader), b"early");
}

#[test]
fn the_first_byte_after_idle_is_written_at_once() {
    let (mut reader, writer) = packets();
    let writer = to(writer, Limits::SERIAL);
    writer.start();
    writer.output().push(b'a');
    assert_eq!(packet(&mut reader), b"a");
}

#[test]
fn bytes_that_have_queued_up_are_one_write() {
    let (mut reader, writer) = packets();
    let writer = to(writer, Limits::SERIAL);
    push_all(writer.output(), &pattern(3000));
    writer.start();
    assert!(packet(&mut reader) == pattern(3000));
}

#[test]
fn done_becomes_readable_when_all_is_written() {
    let (writer, reader) = piped(Limits::SERIAL);
    writer.start();
    push_all(writer.output(), &pattern(2 * PIPE));
    writer.output().close();
    assert!(writer.output().done().read().is_err(), "half of it is in no pipe yet");
    let reader = std::thread::spawn(move || rest(reader));
    let output = Arc::clone(writer.output());
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert_eq!(output.done().read().unwrap(), 1);
    assert!(reader.join().unwrap() == pattern(2 * PIPE));
}

#[test]
fn a_full_disk_loses_output_and_nothing_else() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let writer = to(full, SMALL);
    writer.start();
    push_all(writer.output(), &pattern(4 * SMALL.hard));
    assert_eq!(writer.finish(far()).unwrap(), 0);
}

#[test]
fn a_descriptor_that_cannot_be_written_is_as_good_as_none() {
    let writer = to(File::open("/dev/null").unwrap(), SMALL);
    writer.start();
    push_all(writer.output(), &pattern(4 * SMALL.hard));
    assert_eq!(writer.finish(far()).unwrap(), 0);
}

#[test]
fn a_descriptor_that_is_non_blocking_already_loses_nothing() {
    let (reader, pipe) = std::io::pipe().unwrap();
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let writer = to(pipe, Limits::SERIAL);
    writer.start();
    push_all(writer.output(), &pattern(4 * PIPE));
    let reader = std::thread::spawn(move || rest(reader));
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert!(reader.join().unwrap() == pattern(4 * PIPE));
}

#[test]
fn a_non_blocking_unread_pipe_does_not_hold_up_the_end() {
    let (_reader, pipe) = std::io::pipe().unwrap();
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let writer = to(pipe, Limits::SERIAL);
    writer.start();
    push_all(writer.output(), &pattern(4 * PIPE));
    assert!(writer.finish(Instant::now()).unwrap() >= 3 * PIPE);
}

#[test]
fn a_regular_file_holds_the_output() {
    let file = tempfile::tempfile().unwrap();
    let writer = to(file.try_clone().unwrap(), SMALL);
    writer.start();
    push_all(writer.output(), &pattern(100_000));
    assert_eq!(writer.finish(far()).unwrap(), 0);
    let mut file = file;
    std::io::Seek::rewind(&mut file).unwrap();
    let mut got = Vec::new();
    file.read_to_end(&mut got).unwrap();
    assert!(got == pattern(100_000));
}

#[test]
fn a_device_is_never_held_up_and_hears_when_there_is_room() {
    let (reader, pipe) = full_pipe();
    let writer = to(pipe, Limits { hard: usize::MAX, ..SMALL });
    let (ready, heard) = std::sync::mpsc::channel();
    writer.output().on_ready(move || ready.send(()).unwrap());
    writer.start();
    let mut pushed = Vec::new();
    // Ends although nobody reads, and never waits.
    while !writer.output().is_busy() {
        writer.output().push_all(&pattern(1000));
        pushed.extend(pattern(1000));
    }
    assert!(pushed.len() >= SMALL.soft && heard.try_recv().is_err());
    let reader = std::thread::spawn(move || rest(reader));
    heard.recv_timeout(PATIENCE).unwrap();
    writer.output().push_all(b"the rest");
    pushed.extend(b"the rest");
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert!(reader.join().unwrap().ends_with(&pushed));
}

#[test]
fn a_console_that_is_off_is_watched_all_the_same() {
    let writer = Writer::new(Sink::Off, RequestSender::new().unwrap()).unwrap();
    writer.start();
    let output = Arc::clone(writer.output());
    assert!(!output.facts().any_output);
    push_all(&output, b"Kernel panic - not syncing: x\n---[ end Kernel panic\n");
    assert!(!output.is_busy());
    assert_eq!(output.facts().panic.as_deref(), Some("Kernel panic - not syncing: x"));
    assert_eq!(output.news().read().unwrap(), 1);
    assert!(output.done().read().is_err(), "not closed");
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert_eq!(output.done().read().unwrap(), 1);
}
