use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use vmm_core::event::{RequestSender, StopFlag, Worker, WorkerPanic, WorkerSpec};
use vmm_core::sys::wait_writable;

use super::output::{Limits, Output};

/// The writer's stack: it formats a log line at most.
const STACK: usize = 128 << 10;
/// The memory for a batch that is kept between batches.
const IDLE_BATCH: usize = 4 << 10;

/// Where a guest's console output goes.
#[derive(Debug)]
pub enum Sink {
    /// The standard output of this process.
    Stdout,
    /// The standard error of this process.
    Stderr,
    /// A file; `path` is for messages.
    File {
        /// The open file, written at its offset.
        file: File,
        /// The name it was opened by.
        path: PathBuf,
    },
    /// Nowhere: it is watched, not written.
    Off,
}

/// The thread that writes a guest's console output to the host.
pub struct Writer {
    output: Arc<Output>,
    worker: Option<Worker<()>>,
}

impl Writer {
    /// Makes the output of a serial port and the thread, named `console`, that
    /// writes it to `sink`; bytes wait until [`start`](Self::start). A closed
    /// standard output is as good as `/dev/null`.
    ///
    /// Descriptors are used as they are: none is made non-blocking, and one
    /// that is already works too.
    ///
    /// # Errors
    /// If the host has no descriptor or thread left.
    pub fn new(sink: Sink, requests: RequestSender) -> io::Result<Self> {
        Self::with_limits(sink, "console", requests, Limits::SERIAL)
    }

    /// The same for a virtio console; the thread is named `hvc0`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_virtio(sink: Sink, requests: RequestSender) -> io::Result<Self> {
        Self::with_limits(sink, "hvc0", requests, Limits::VIRTIO)
    }

    pub(super) fn with_limits(
        sink: Sink,
        thread: &str,
        requests: RequestSender,
        limits: Limits,
    ) -> io::Result<Self> {
        let Some(target) = Target::of(sink)? else {
            let output = Arc::new(Output::new(false, limits)?);
            return Ok(Self { output, worker: None });
        };
        let output = Arc::new(Output::new(true, limits)?);
        let (theirs, to_wake) = (Arc::clone(&output), Arc::clone(&output));
        let spec = WorkerSpec {
            name: thread.into(),
            stack: STACK,
            wake: Box::new(move || to_wake.abandon()),
            requests,
        };
        let worker = Worker::spawn(spec, move |stop| write_until_closed(&theirs, target, stop))?;
        Ok(Self { output, worker: Some(worker) })
    }

    /// The output, to push bytes to and to ask what it has shown.
    pub fn output(&self) -> &Arc<Output> {
        &self.output
    }

    /// Begins writing.
    pub fn start(&self) {
        if let Some(worker) = &self.worker {
            worker.start();
        }
    }

    /// Writes what is queued, until `deadline` at the latest, and ends the
    /// thread, out of a write that blocks if need be. Returns how many bytes
    /// could not be written in time.
    ///
    /// # Errors
    /// [`WorkerPanic`] if the thread had panicked.
    pub fn finish(mut self, deadline: Instant) -> Result<usize, WorkerPanic> {
        self.output.release();
        self.output.close();
        if let Some(worker) = self.worker.take() {
            worker.start();
            worker.wait(deadline.saturating_duration_since(Instant::now()));
            worker.stop()?;
        }
        Ok(self.output.level())
    }
}

struct Target {
    file: File,
    name: String,
}

impl Target {
    fn of(sink: Sink) -> io::Result<Option<Self>> {
        match sink {
            Sink::Off => Ok(None),
            Sink::File { file, path } => {
                Ok(Some(Self { file, name: format!("the console file {}", path.display()) }))
            }
            Sink::Stdout => Self::standard(io::stdout(), "standard output"),
            Sink::Stderr => Self::standard(io::stderr(), "standard error"),
        }
    }

    /// A standard stream, unless it is closed.
    fn standard(stream: impl AsFd, name: &str) -> io::Result<Option<Self>> {
        match stream.as_fd().try_clone_to_owned() {
            Ok(fd) => Ok(Some(Self { file: File::from(fd), name: name.into() })),
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn write_until_closed(output: &Output, mut target: Target, stop: &StopFlag) {
    let mut batch = Vec::new();
    let mut said_full = false;
    while output.take(&mut batch) {
        match write_all(output, &mut target.file, &batch, stop) {
            Written::All => {}
            Written::Stopped => break,
            Written::Failed { left, error } if is_full(&error) => {
                // What does not fit is lost; what comes later is tried again,
                // as room may be made.
                output.wrote(left);
                if !std::mem::replace(&mut said_full, true) {
                    log::warn!("{} has no room left, console output is lost: {error}", target.name);
                }
            }
            Written::Failed { error, .. } => {
                output.discard();
                if error.raw_os_error() != Some(libc::EBADF) {
                    log::warn!("{} takes no more console output: {error}", target.name);
                }
            }
        }
        batch.clear();
        batch.shrink_to(IDLE_BATCH);
    }
    output.finish();
}

enum Written {
    All,
    Stopped,
    Failed { left: usize, error: io::Error },
}

fn write_all(output: &Output, file: &mut File, mut bytes: &[u8], stop: &StopFlag) -> Written {
    while !bytes.is_empty() {
        if stop.is_set() {
            return Written::Stopped;
        }
        let result = match file.write(bytes) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait_writable(&*file).map(|()| 0),
            other => other,
        };
        match result {
            Ok(count) => {
                bytes = &bytes[count..];
                output.wrote(count);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Written::Failed { left: bytes.len(), error },
        }
    }
    Written::All
}

fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
