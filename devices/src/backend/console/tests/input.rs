use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{LocalFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcsetpgrp};
use vmm_core::event::{MachineRequest, RequestSender};
use vmm_core::sys::signal::Signals;
use vmm_core::sys::terminal::RawTerminal;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::super::{ConsoleInput, InputPort};
use crate::programs;

/// Milliseconds: longer than any machine takes.
const PATIENCE: i32 = 600_000;

/// A port with room for what the test says.
struct FakePort {
    state: Mutex<FakeState>,
    ready: EventFd,
}

#[derive(Default)]
struct FakeState {
    room: usize,
    got: Vec<u8>,
    wanted: bool,
}

impl FakePort {
    /// Makes room as a guest that reads does.
    fn listen(&self, room: usize) {
        let mut state = self.state.lock().unwrap();
        state.room = room;
        if std::mem::take(&mut state.wanted) {
            self.ready.write(1).unwrap();
        }
    }

    fn got(&self) -> Vec<u8> {
        self.state.lock().unwrap().got.clone()
    }
}

impl InputPort for FakePort {
    fn room(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.wanted = state.room == 0;
        state.room
    }

    fn receive(&self, bytes: &[u8]) -> usize {
        let mut state = self.state.lock().unwrap();
        let count = bytes.len().min(state.room);
        state.room -= count;
        state.got.extend_from_slice(&bytes[..count]);
        state.wanted = count < bytes.len();
        count
    }

    fn ready(&self) -> &EventFd {
        &self.ready
    }
}

/// A terminal in raw mode.
fn raw_pty() -> OpenptyResult {
    let pty = openpty(None, None).unwrap();
    let mut mode = tcgetattr(&pty.slave).unwrap();
    cfmakeraw(&mut mode);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &mode).unwrap();
    pty
}

type Loop = EventManager<Box<dyn MutEventSubscriber>>;

struct Bench {
    port: Arc<FakePort>,
    requests: RequestSender,
    events: Loop,
}

impl Bench {
    fn new(source: Option<OwnedFd>, room: usize) -> Self {
        let state = Mutex::new(FakeState { room, ..FakeState::default() });
        let port = Arc::new(FakePort { state, ready: EventFd::new(EFD_NONBLOCK).unwrap() });
        let requests = RequestSender::new().unwrap();
        let input = ConsoleInput::new(source, port.clone(), requests.clone()).unwrap();
        let mut events = Loop::new().unwrap();
        events.add_subscriber(Box::new(input));
        Self { port, requests, events }
    }

    /// Handles one round of events; false if there are none.
    fn turn(&mut self) -> bool {
        self.events.run_with_timeout(0).unwrap() > 0
    }

    fn settle(&mut self) {
        while self.turn() {}
    }

    fn run_until_quit(&mut self) {
        while self.requests.first() != Some(MachineRequest::Quit) {
            assert!(self.events.run_with_timeout(PATIENCE).unwrap() > 0, "nothing came");
        }
    }

    fn run_until_got(&mut self, expected: &[u8]) {
        while self.port.got() != expected {
            assert!(self.events.run_with_timeout(PATIENCE).unwrap() > 0, "nothing came");
        }
    }
}

#[test]
fn piped_input_waits_in_the_pipe_until_the_guest_listens() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"echo hello\n").unwrap();
    let mut bench = Bench::new(Some(reader.into()), 0);
    assert!(!bench.turn(), "an idle loop: nothing to do before the guest listens");
    bench.port.listen(4);
    bench.settle();
    assert_eq!(bench.port.got(), b"echo");
    assert!(!bench.turn(), "an idle loop: the guest is full");
    bench.port.listen(64);
    bench.settle();
    assert_eq!(bench.port.got(), b"echo hello\n");
    writer.write_all(b"more").unwrap();
    bench.settle();
    assert_eq!(bench.port.got(), b"echo hello\nmore");
}

#[test]
fn the_end_of_a_pipe_comes_after_its_bytes_and_leaves_the_loop_idle() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"last words").unwrap();
    drop(writer);
    let mut bench = Bench::new(Some(reader.into()), 0);
    assert!(!bench.turn(), "an idle loop: a hang-up is no event before the bytes are read");
    for _ in 0..5 {
        bench.port.listen(2);
        bench.settle();
    }
    assert_eq!(bench.port.got(), b"last words");
    bench.port.listen(2);
    bench.settle();
    assert!(!bench.turn());
}

#[test]
fn a_file_is_read_as_the_guest_takes_it() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..200).collect();
    file.write_all(&bytes).unwrap();
    let mut bench = Bench::new(Some(File::open(file.path()).unwrap().into()), 64);
    assert_eq!(bench.port.got(), bytes[..64]);
    bench.port.listen(1000);
    bench.settle();
    assert_eq!(bench.port.got(), bytes);
    assert!(!bench.turn());
}

#[test]
fn a_file_is_read_from_where_it_stands() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before|after").unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(7)).unwrap();
    let bench = Bench::new(Some(file.into()), 64);
    assert_eq!(bench.port.got(), b"after");
}

#[test]
fn no_input_leaves_the_loop_idle() {
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let write_only = || OwnedFd::from(File::options().write(true).open("/dev/null").unwrap());
    for source in [None, Some(null()), Some(write_only())] {
        let mut bench = Bench::new(source, 64);
        bench.settle();
        assert!(bench.port.got().is_empty());
        assert!(!bench.requests.is_pending());
    }
}

#[test]
fn a_pipe_has_no_escape_keys() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"\x01x").unwrap();
    let mut bench = Bench::new(Some(reader.into()), 64);
    bench.settle();
    assert_eq!(bench.port.got(), b"\x01x");
    assert!(!bench.requests.is_pending());
}

#[test]
fn reading_does_not_make_a_shared_descriptor_non_blocking() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, _writer) = std::io::pipe().unwrap();
    let shared = reader.try_clone().unwrap();
    let _bench = Bench::new(Some(reader.into()), 64);
    let flags = OFlag::from_bits_retain(fcntl(&shared, FcntlArg::F_GETFL).unwrap());
    assert!(!flags.contains(OFlag::O_NONBLOCK));
}

/// Takes a byte from a shared pipe when it is told to.
struct Thief {
    go: Arc<EventFd>,
    pipe: PipeReader,
}

impl MutEventSubscriber for Thief {
    fn init(&mut self, ops: &mut EventOps) {
        ops.add(Events::new(&*self.go, EventSet::IN)).unwrap();
    }

    fn process(&mut self, _: Events, _: &mut EventOps) {
        self.go.read().unwrap();
        self.pipe.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn input_that_another_process_took_does_not_block_the_loop() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let pipe = reader.try_clone().unwrap();
    let mut bench = Bench::new(Some(reader.into()), 64);
    let go = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    bench.events.add_subscriber(Box::new(Thief { go: go.clone(), pipe }));
    // Both are ready in one round, the thief first.
    go.write(1).unwrap();
    writer.write_all(b"a").unwrap();
    assert!(bench.turn());
    writer.write_all(b"b").unwrap();
    bench.run_until_got(b"b");
}

#[test]
fn the_escape_key_works_while_the_guest_takes_nothing() {
    let pty = raw_pty();
    let mut keyboard = File::from(pty.master);
    let mut bench = Bench::new(Some(pty.slave.try_clone().unwrap()), 3);
    // More than the guest takes and than is kept.
    for _ in 0..40 {
        keyboard.write_all(&[b'k'; 200]).unwrap();
        assert!(bench.events.run_with_timeout(PATIENCE).unwrap() > 0);
    }
    assert_eq!(bench.port.got(), b"kkk");
    keyboard.write_all(b"\x01x").unwrap();
    bench.run_until_quit();
    bench.port.listen(1 << 20);
    bench.settle();
    assert_eq!(bench.port.got(), vec![b'k'; 3 + 4096]);
}

#[test]
fn ctrl_c_and_ctrl_d_on_a_raw_terminal_are_keys() {
    let pty = raw_pty();
    let mut keyboard = File::from(pty.master);
    let mut bench = Bench::new(Some(pty.slave.try_clone().unwrap()), 64);
    keyboard.write_all(b"\x03\x04\r\x1a").unwrap();
    bench.run_until_got(b"\x03\x04\r\x1a");
}

#[test]
fn a_terminal_that_hangs_up_ends_the_input() {
    let pty = openpty(None, None).unwrap();
    let mut bench = Bench::new(Some(pty.slave), 64);
    drop(pty.master);
    assert!(bench.events.run_with_timeout(PATIENCE).unwrap() > 0);
    bench.settle();
    assert!(!bench.requests.is_pending());
}

/// Set in a process that was started to run one test by itself.
const ALONE: &str = "KILN_TEST_ALONE";

#[test]
fn a_background_process_leaves_the_keys_to_the_foreground_and_takes_them_there() {
    if std::env::var_os(ALONE).is_some() {
        return in_a_session_of_its_own();
    }
    let test = "a_background_process_leaves_the_keys_to_the_foreground_and_takes_them_there";
    let pty = openpty(None, None).unwrap();
    // Typed before: a line that is there to read all the time.
    File::from(pty.master.try_clone().unwrap()).write_all(b"key\n").unwrap();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("backend::console::tests::input::{test}")]);
    let out = programs::output(command.env(ALONE, "1").stdin(pty.slave)).unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

/// The body of the test, with a controlling terminal on standard input.
fn in_a_session_of_its_own() {
    let _signals = Signals::block().unwrap();
    let terminal = std::io::stdin();
    // Another group, which lives until its input ends, gets the terminal.
    let mut other = Command::new("cat").stdin(Stdio::piped()).process_group(0).spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(other.id()).unwrap());
    tcsetpgrp(&terminal, group).unwrap();

    let source = terminal.as_fd().try_clone_to_owned().unwrap();
    let mut bench = Bench::new(Some(source), 64);
    assert!(!bench.turn(), "an idle loop: the keys are not ours");
    let _raw = RawTerminal::enter(terminal.as_fd()).unwrap();
    let is_cooked = || tcgetattr(&terminal).unwrap().local_flags.contains(LocalFlags::ICANON);
    assert!(is_cooked());

    tcsetpgrp(&terminal, getpgrp()).unwrap();
    bench.run_until_got(b"key\n");
    assert!(!is_cooked());
    drop(other.stdin.take());
    other.wait().unwrap();
}
