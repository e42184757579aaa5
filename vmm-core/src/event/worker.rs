use std::any::Any;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use vmm_sys_util::signal::Killable;

use super::{MachineRequest, RequestSender};
use crate::sys::signal::{install_kick_handler, kick_signal};

/// The longest thread name that the kernel keeps, in bytes.
pub const MAX_THREAD_NAME: usize = 15;

/// How long a thread that was told to stop has before it is kicked again. A
/// kick that comes just before a system call does not interrupt it.
const KICK_AGAIN: Duration = Duration::from_millis(2);

/// A thread's body ended by a panic.
#[derive(Debug, thiserror::Error)]
#[error("the thread {thread} failed: {message}")]
pub struct WorkerPanic {
    /// The thread's name.
    pub thread: String,
    /// What the panic said.
    pub message: String,
}

/// What a [`Worker`]'s thread is told; its body asks it now and then.
pub struct StopFlag(Arc<Shared>);

impl StopFlag {
    /// Whether the thread has been told to stop.
    pub fn is_set(&self) -> bool {
        self.0.stop.load(Ordering::Acquire)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    Ended,
}

struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Shared {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        *self.phase() = phase;
        self.changed.notify_all();
    }

    /// Waits for the start; false if the stop comes first.
    fn wait_for_start(&self) -> bool {
        let phase = self
            .changed
            .wait_while(self.phase(), |p| {
                *p == Phase::Waiting && !self.stop.load(Ordering::Acquire)
            })
            .unwrap_or_else(PoisonError::into_inner);
        *phase == Phase::Running
    }

    /// Waits at most `timeout` for the thread's end; returns whether it came.
    fn wait_for_end(&self, timeout: Duration) -> bool {
        let (phase, _) = self
            .changed
            .wait_timeout_while(self.phase(), timeout, |p| *p != Phase::Ended)
            .unwrap_or_else(PoisonError::into_inner);
        *phase == Phase::Ended
    }
}

/// How to make a [`Worker`].
pub struct WorkerSpec {
    /// Thread name, 1 to [`MAX_THREAD_NAME`] bytes. The machine's is added.
    pub name: String,
    /// Stack size in bytes; the kernel commits only what is touched.
    pub stack: usize,
    /// Called after the stop flag is set, to end the body's own waiting:
    /// notifies a condition variable or writes an eventfd.
    pub wake: Box<dyn Fn() + Send + Sync>,
    /// Told [`MachineRequest::ThreadFailed`] if the body panics.
    pub requests: RequestSender,
}

/// A named thread that exists from construction, waits for
/// [`start`](Self::start), and is stopped and joined at the latest on drop.
pub struct Worker<T: Send + 'static> {
    name: String,
    shared: Arc<Shared>,
    wake: Box<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<Option<T>>>,
}

impl<T: Send + 'static> Worker<T> {
    /// Makes the thread; `body` runs after [`start`](Self::start).
    ///
    /// A blocking system call of the body must tolerate EINTR and ask the
    /// [`StopFlag`] after it: that is how a stop reaches it.
    ///
    /// # Errors
    /// If the name is empty, too long or holds a NUL (`InvalidInput`), or the
    /// host refuses the thread.
    pub fn spawn(
        spec: WorkerSpec,
        body: impl FnOnce(&StopFlag) -> T + Send + 'static,
    ) -> io::Result<Self> {
        let WorkerSpec { name, stack, wake, requests } = spec;
        if name.is_empty() || name.len() > MAX_THREAD_NAME || name.contains('\0') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        install_kick_handler()?;
        let shared = Arc::new(Shared {
            phase: Mutex::new(Phase::Waiting),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let flag = StopFlag(Arc::clone(&shared));
        let shown = shown_name(&name, requests.machine());
        let end = EndGuard { name: name.clone(), shared: Arc::clone(&shared), requests };
        let thread =
            std::thread::Builder::new().name(shown).stack_size(stack).spawn(move || {
                let _end = end;
                flag.0.wait_for_start().then(|| body(&flag))
            })?;
        Ok(Self { name, shared, wake, thread: Some(thread) })
    }

    /// Lets the body run. Nothing happens if it already does or was stopped.
    pub fn start(&self) {
        let mut phase = self.shared.phase();
        if *phase == Phase::Waiting {
            *phase = Phase::Running;
            self.shared.changed.notify_all();
        }
    }

    /// Interrupts the blocking system call that the thread is in, if any.
    pub fn kick(&self) {
        if let Some(thread) = self.thread.as_ref().filter(|t| !t.is_finished()) {
            // Fails only if the thread is just gone, and then nothing blocks.
            let _ = thread.kill(kick_signal());
        }
    }

    /// Waits at most `timeout` for the body to end by itself; returns whether
    /// it has.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.shared.wait_for_end(timeout)
    }

    /// Tells the thread to stop, out of a blocking system call if need be,
    /// joins it and returns what the body returned; `None` if it never ran.
    ///
    /// # Errors
    /// [`WorkerPanic`] if the body panicked.
    pub fn stop(mut self) -> Result<Option<T>, WorkerPanic> {
        self.halt()
    }

    fn halt(&mut self) -> Result<Option<T>, WorkerPanic> {
        {
            // Under the lock, so that a thread about to wait for the start
            // cannot miss it.
            let _phase = self.shared.phase();
            self.shared.stop.store(true, Ordering::Release);
            self.shared.changed.notify_all();
        }
        (self.wake)();
        while !self.shared.wait_for_end(Duration::ZERO) {
            self.kick();
            self.shared.wait_for_end(KICK_AGAIN);
        }
        let Some(thread) = self.thread.take() else {
            return Ok(None);
        };
        thread.join().map_err(|payload| WorkerPanic {
            thread: self.name.clone(),
            message: panic_message(payload.as_ref()),
        })
    }
}

impl<T: Send + 'static> Drop for Worker<T> {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // The panic was reported as a request when it happened.
            let _ = self.halt();
        }
    }
}

/// A thread's name as tools of the host show it: its own, and as much of the
/// machine's as fits behind.
fn shown_name(thread: &str, machine: Option<&str>) -> String {
    let mut shown = machine.map_or_else(|| thread.into(), |m| format!("{thread}:{m}"));
    while shown.len() > MAX_THREAD_NAME {
        shown.pop();
    }
    shown
}

/// Marks the thread's end, and reports it if it is a panic's.
struct EndGuard {
    name: String,
    shared: Arc<Shared>,
    requests: RequestSender,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.requests.send(MachineRequest::ThreadFailed { name: self.name.clone() });
        }
        self.shared.enter(Phase::Ended);
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
