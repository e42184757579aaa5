use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::facts::ConsoleFacts;
use super::watch::{LineTest, Watch};

/// While bytes keep coming, they are written this much at a time ...
const BATCH: usize = 4 << 10;
/// ... or this long after the previous write.
const COALESCE: Duration = Duration::from_millis(2);
/// The most that is handed to one write, and memory kept while idle.
const MAX_WRITE: usize = 64 << 10;

/// How much output may wait for its reader, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From here the port says that it is busy.
    pub(super) soft: usize,
    /// Down to here, the port is ready again.
    pub(super) low: usize,
    /// From here a vCPU that does not heed the busy port waits.
    pub(super) hard: usize,
}

impl Limits {
    /// For a serial port, whose driver heeds a busy port while processes
    /// print and not while the kernel does.
    pub(super) const SERIAL: Self = Self { soft: 1 << 20, low: 256 << 10, hard: 16 << 20 };
    /// For a virtio console, which leaves text in its queue while the output
    /// is busy. Linux then waits with a lock held and interrupts off, so that
    /// this comes late and is over soon.
    pub(super) const VIRTIO: Self = Self { soft: 16 << 20, low: 15 << 20, hard: usize::MAX };
}

/// A guest's console output on its way to the host.
///
/// vCPUs and devices [`push`](Self::push) bytes; the [`Writer`](super::Writer)'s thread
/// takes them in batches and does the writing, so that a reader that does not
/// read never holds a vCPU inside a write. No byte is lost while the machine
/// runs, and the memory for those that wait is bounded.
///
/// Lock order: the lock here is innermost and never held during a write.
pub struct Output {
    state: Mutex<State>,
    /// There is a writer to take the bytes.
    written: bool,
    limits: Limits,
    busy: AtomicBool,
    /// The writer waits here for bytes.
    work: Condvar,
    /// vCPUs wait here for room.
    room: Condvar,
    /// Called when the port is ready again.
    on_ready: OnceLock<Box<dyn Fn() + Send + Sync>>,
    news: EventFd,
    done: EventFd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WriterIs {
    /// Waiting for a first byte.
    Idle,
    /// Waiting for a batch to fill.
    Coalescing,
    /// Writing, or woken and about to.
    Busy,
}

struct State {
    queue: VecDeque<u8>,
    /// Taken from the queue and not yet written.
    in_flight: usize,
    writer: WriterIs,
    /// When the latest write ended.
    last_write: Option<Instant>,
    /// Bytes have nowhere to go.
    discard: bool,
    /// vCPUs no longer wait for room.
    released: bool,
    /// No more bytes come: the writer ends when it has written all.
    closed: bool,
    /// The writer ends now.
    abandoned: bool,
    watch: Watch,
}

impl State {
    fn level(&self) -> usize {
        self.queue.len() + self.in_flight
    }
}

impl Output {
    /// An output whose bytes are watched and, if `written`, kept for a writer.
    pub(super) fn new(written: bool, limits: Limits) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                in_flight: 0,
                writer: WriterIs::Busy,
                last_write: None,
                discard: !written,
                released: false,
                closed: false,
                abandoned: false,
                watch: Watch::default(),
            }),
            written,
            limits,
            busy: AtomicBool::new(false),
            work: Condvar::new(),
            room: Condvar::new(),
            on_ready: OnceLock::new(),
            news: EventFd::new(EFD_NONBLOCK)?,
            done: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    /// Takes a byte from the guest.
    ///
    /// Waits only when 16 MiB are queued, and then until some are written or
    /// [`release`](Self::release) is called. The byte is taken in any case.
    pub fn push(&self, byte: u8) {
        let mut state = self.lock();
        self.watch(&mut state, &[byte]);
        let full = |s: &mut State| s.level() >= self.limits.hard && !s.released && !s.discard;
        state = self.room.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        self.queue(state, &[byte]);
    }

    /// Takes bytes from the guest, and never waits: for a device that holds
    /// them back while the output [`is_busy`](Self::is_busy).
    pub fn push_all(&self, bytes: &[u8]) {
        let mut state = self.lock();
        self.watch(&mut state, bytes);
        self.queue(state, bytes);
    }

    fn watch(&self, state: &mut State, bytes: &[u8]) {
        for byte in bytes {
            if state.watch.push(*byte) {
                self.tell_news();
            }
        }
    }

    fn queue(&self, mut state: MutexGuard<'_, State>, bytes: &[u8]) {
        if state.discard || bytes.is_empty() {
            return;
        }
        state.queue.extend(bytes);
        if state.level() >= self.limits.soft {
            self.busy.store(true, Ordering::Release);
        }
        let wake = match state.writer {
            WriterIs::Idle => true,
            WriterIs::Coalescing => state.queue.len() >= BATCH,
            WriterIs::Busy => false,
        };
        if wake {
            state.writer = WriterIs::Busy;
            drop(state);
            self.work.notify_one();
        }
    }

    /// Whether so much waits that the guest should stop sending: 1 MiB, or
    /// 16 MiB for a virtio console.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Has `ready` called, on the writer's thread, each time that
    /// [`is_busy`](Self::is_busy) turns false. The first caller is served; a
    /// console has one port.
    pub fn on_ready(&self, ready: impl Fn() + Send + Sync + 'static) {
        let _ = self.on_ready.set(Box::new(ready));
    }

    /// Lets vCPUs that wait for room go on, now and later: the machine stops.
    pub fn release(&self) {
        self.lock().released = true;
        self.room.notify_all();
    }

    /// Says that no more bytes come; the writer writes what is queued and
    /// then makes [`done`](Self::done) readable. Never waits.
    pub fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
        if !self.written {
            self.finish();
        }
    }

    /// Readable once the writer has ended: after [`close`](Self::close), when
    /// everything is written.
    pub fn done(&self) -> &EventFd {
        &self.done
    }

    /// What the console has shown so far.
    pub fn facts(&self) -> ConsoleFacts {
        self.lock().watch.facts()
    }

    /// The latest output: 4 KiB, or as much as was asked for.
    pub fn tail(&self) -> Vec<u8> {
        self.lock().watch.tail()
    }

    /// From now on keeps that much of the latest output, in bytes.
    pub fn keep_tail(&self, size: usize) {
        self.lock().watch.keep_tail(size);
    }

    /// How many bytes the guest has sent.
    pub fn total(&self) -> u64 {
        self.lock().watch.total()
    }

    /// Has `test` see each line from now on, when it ends.
    pub fn test_lines(&self, test: LineTest) {
        self.lock().watch.test_lines(test);
    }

    /// Has the test see the line that has not ended yet, such as a prompt. It
    /// will see it again when it ends.
    pub fn test_open_line(&self) {
        if self.lock().watch.test_line() {
            self.tell_news();
        }
    }

    /// Readable once there is news: the guest kernel has said all about its
    /// panic and will do nothing more ([`ConsoleFacts::panic_ended`]), or the
    /// test of lines calls one so.
    pub fn news(&self) -> &EventFd {
        &self.news
    }

    fn tell_news(&self) {
        // Fails only when the counter is full, and then it is readable too.
        let _ = self.news.write(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ready(&self) {
        if self.busy.swap(false, Ordering::AcqRel)
            && let Some(ready) = self.on_ready.get()
        {
            ready();
        }
    }
}

/// The writer's side.
impl Output {
    /// Waits for bytes and moves them to `batch`, which is empty; false when
    /// there will be none.
    pub(super) fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        loop {
            if state.abandoned || (state.closed && state.queue.is_empty()) {
                return false;
            }
            if state.queue.is_empty() {
                state.writer = WriterIs::Idle;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let Some(rest) = coalesce_for(&state) else {
                break;
            };
            state.writer = WriterIs::Coalescing;
            let waited = self.work.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.writer = WriterIs::Busy;
        let count = state.queue.len().min(MAX_WRITE);
        batch.extend(state.queue.drain(..count));
        state.in_flight = count;
        if state.queue.is_empty() {
            state.queue.shrink_to(MAX_WRITE);
        }
        true
    }

    /// Records that `count` of the bytes taken are written or given up.
    pub(super) fn wrote(&self, count: usize) {
        let mut state = self.lock();
        let before = state.level();
        state.in_flight -= count;
        state.last_write = Some(Instant::now());
        let level = state.level();
        drop(state);
        // Who waits saw it full, and looks again when woken.
        if before >= self.limits.hard && level < self.limits.hard {
            self.room.notify_all();
        }
        if level <= self.limits.low {
            self.now_ready();
        }
    }

    /// Throws away what is queued and all that comes.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.discard = true;
        state.queue = VecDeque::new();
        state.in_flight = 0;
        drop(state);
        self.room.notify_all();
        self.now_ready();
    }

    /// Ends the writer's waiting for bytes.
    pub(super) fn abandon(&self) {
        self.lock().abandoned = true;
        self.work.notify_one();
    }

    /// Takes all bytes that wait, as if they had been written.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn read_all(&self) -> Vec<u8> {
        let bytes = self.lock().queue.drain(..).collect();
        self.now_ready();
        bytes
    }

    /// Whether no more bytes come.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Marks the writer's end.
    pub(super) fn finish(&self) {
        // Fails only when the counter is full, and then it is readable too.
        let _ = self.done.write(1);
    }

    /// Bytes that are not written.
    pub(super) fn level(&self) -> usize {
        self.lock().level()
    }
}

/// How long to wait for more bytes before writing those there are.
fn coalesce_for(state: &State) -> Option<Duration> {
    if state.closed || state.queue.len() >= BATCH {
        return None;
    }
    let rest = COALESCE.checked_sub(state.last_write?.elapsed())?;
    (!rest.is_zero()).then_some(rest)
}
