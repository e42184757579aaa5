use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, send};
use vmm_core::event::{MachineRequest, RequestSender, StopFlag, Worker, WorkerPanic, WorkerSpec};
use vmm_core::sys::terminal::RawTerminal;

use super::job::terminal_size;
use super::pump;
use crate::agent::protocol::{
    self, CommandEnd, FROM_GUEST_MAX, FrameError, Job, Opening, Stream, TO_GUEST_MAX, ToGuest,
    ToHost, Tty, VERSION,
};
use crate::exit::Chain;
use crate::machine::{Milestone, Phases};

/// The threads' stacks: what they move lies elsewhere.
const STACK: usize = 128 << 10;

/// How long a guest may take from the end of its driver to its own.
const FAREWELL: Duration = Duration::from_secs(3);

/// What has become of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was heard of the guest's agent.
    Silent,
    /// The agent is there, and makes ready.
    Preparing,
    /// The command runs.
    Running,
    /// It cannot be run: why, as a clause.
    Failed(String),
    /// It has ended.
    Ended(CommandEnd),
    /// It has ended well, but not all that it wrote has arrived: why, as a
    /// clause.
    Unheard(String),
}

/// The host's end of a command in the guest: the threads `agent`, which talks
/// to the guest's, and one for each stream.
pub struct Session {
    shared: Arc<Shared>,
    workers: Vec<Worker<()>>,
}

struct Shared {
    state: Mutex<State>,
    has_terminal: bool,
}

struct State {
    progress: Progress,
    /// The guest has passed a signal on.
    answered: bool,
    /// The control connection, while the command runs.
    control: Option<UnixStream>,
    terminal: Option<RawTerminal>,
    /// Why some of the command's output did not arrive, as a clause.
    lost: Option<String>,
}

impl Session {
    /// A session that has the guest do `job`, once it connects through
    /// `incoming`. When all is over, `requests` are told.
    ///
    /// # Errors
    /// If the host has no thread left.
    pub fn new(
        job: Job,
        incoming: Receiver<UnixStream>,
        requests: &RequestSender,
        phases: Arc<Phases>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(job.tty.is_some()));
        let (done, written) = channel();
        let mut workers = Vec::new();
        let mut pumps = Vec::new();
        for stream in job.streams() {
            let (sender, receiver) = channel();
            pumps.push((stream, sender));
            let pump = Pump { shared: Arc::clone(&shared), source: receiver, done: done.clone() };
            workers.push(pump.of(stream, job.tty, requests)?);
        }
        drop(done);
        let agent = Agent {
            job,
            incoming,
            pumps,
            written,
            shared: Arc::clone(&shared),
            requests: requests.clone(),
            phases,
        };
        workers.push(Worker::spawn(spec("agent", requests), move |_| agent.run())?);
        Ok(Self { shared, workers })
    }

    /// Begins to listen.
    pub fn start(&self) {
        self.workers.iter().for_each(Worker::start);
    }

    /// Has this signal sent to the command; false if none runs.
    pub fn signal(&self, number: u8) -> bool {
        self.shared.say(&ToGuest::Signal(number))
    }

    /// Whether the guest has passed a signal on.
    pub fn has_answered(&self) -> bool {
        self.shared.state().answered
    }

    /// Tells the guest how large the terminal is now.
    pub fn fit(&self) {
        if self.shared.has_terminal {
            self.shared.say(&ToGuest::Resize(terminal_size()));
        }
    }

    /// Gives the terminal back.
    pub fn leave_terminal(&self) {
        self.shared.state().terminal = None;
    }

    /// Ends the threads, whose streams the device has closed. What has come
    /// and is not written yet has until `deadline`.
    ///
    /// # Errors
    /// [`WorkerPanic`] if one of them has panicked.
    pub fn finish(self, deadline: Instant) -> Result<Progress, WorkerPanic> {
        self.leave_terminal();
        for worker in self.workers {
            worker.wait(deadline.saturating_duration_since(Instant::now()));
            worker.stop()?;
        }
        let state = self.shared.state();
        Ok(match (&state.progress, &state.lost) {
            (Progress::Ended(CommandEnd::Exited(0)), Some(why)) => Progress::Unheard(why.clone()),
            (progress, _) => progress.clone(),
        })
    }
}

fn spec(name: &str, requests: &RequestSender) -> WorkerSpec {
    WorkerSpec {
        name: name.into(),
        stack: STACK,
        wake: Box::new(|| {}),
        requests: requests.clone(),
    }
}

/// What the thread of a stream needs.
struct Pump {
    shared: Arc<Shared>,
    source: Receiver<UnixStream>,
    /// Goes with the last byte of what the command has written.
    done: Sender<()>,
}

impl Pump {
    /// The thread that moves `stream`.
    fn of(
        self,
        stream: Stream,
        tty: Option<Tty>,
        requests: &RequestSender,
    ) -> io::Result<Worker<()>> {
        let has_output = tty.is_none_or(|tty| tty.output);
        let to_errors = tty.is_some_and(|tty| tty.errors);
        match stream {
            Stream::Input => {
                let Self { source, .. } = self;
                let theirs = requests.clone();
                Worker::spawn(spec("stdin", requests), move |stop| {
                    pump::read_input(&source, &theirs, stop);
                })
            }
            Stream::Output => self.to("stdout", io::stdout(), stream, requests),
            Stream::Errors => self.to("stderr", io::stderr(), stream, requests),
            Stream::Terminal if has_output => self.to("tty", io::stdout(), stream, requests),
            Stream::Terminal if to_errors => self.to("tty", io::stderr(), stream, requests),
            // Only what is typed shows there.
            Stream::Terminal => self.to("tty", io::stdin(), stream, requests),
        }
    }

    fn to(
        self,
        name: &str,
        target: impl AsFd + Send + 'static,
        stream: Stream,
        requests: &RequestSender,
    ) -> io::Result<Worker<()>> {
        Worker::spawn(spec(name, requests), move |stop: &StopFlag| {
            if let Err(error) = pump::show(&self.source, target, stop) {
                let why = format!("{stream} takes no more: {}", Chain(&error));
                log::warn!("{why}");
                self.shared.state().lost.get_or_insert(why);
            }
            drop(self.done);
        })
    }
}

impl Shared {
    fn new(has_terminal: bool) -> Self {
        let state = State {
            progress: Progress::Silent,
            answered: false,
            control: None,
            terminal: None,
            lost: None,
        };
        Self { state: Mutex::new(state), has_terminal }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says `message` to the guest, if the command runs; never waits for it.
    fn say(&self, message: &ToGuest) -> bool {
        let mut state = self.state();
        let Some(control) = &state.control else { return false };
        let frame = protocol::encode(message, TO_GUEST_MAX).expect("the message is a short one");
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(control.as_raw_fd(), &frame, flags) {
            Ok(len) if len == frame.len() => true,
            // A guest that does not listen hears nothing more.
            _ => {
                state.control = None;
                false
            }
        }
    }
}

/// Why the guest's agent is not listened to any longer.
#[derive(Debug, thiserror::Error)]
enum Breach {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the agent in the guest speaks version {0}, this is Kiln with version {VERSION}")]
    Version(u32),
    #[error("the agent in the guest says what is not its turn to say")]
    Order,
    #[error("the agent in the guest has gone away")]
    Gone,
    #[error("a connection cannot be shared")]
    Host(#[source] io::Error),
}

/// What the thread `agent` needs.
struct Agent {
    job: Job,
    incoming: Receiver<UnixStream>,
    pumps: Vec<(Stream, Sender<UnixStream>)>,
    written: Receiver<()>,
    shared: Arc<Shared>,
    requests: RequestSender,
    phases: Arc<Phases>,
}

impl Agent {
    fn run(mut self) {
        let progress = match self.converse() {
            Ok(progress) => progress,
            // The machine has ended, which others tell better.
            Err(Breach::Gone | Breach::Frame(FrameError::Connection(_))) if self.is_over_soon() => {
                return;
            }
            Err(error) => Progress::Failed(Chain(&error).to_string()),
        };
        {
            let mut state = self.shared.state();
            state.control = None;
            state.progress = progress;
        }
        // Whoever still waits for a stream need not.
        self.pumps.clear();
        self.requests.send(MachineRequest::Finished);
    }

    /// Whether the device goes, too, now that the guest's end has gone: a guest
    /// that ends by itself stops its driver first.
    fn is_over_soon(&self) -> bool {
        matches!(self.incoming.recv_timeout(FAREWELL), Err(RecvTimeoutError::Disconnected))
    }

    fn converse(&mut self) -> Result<Progress, Breach> {
        let control = self.incoming.recv().map_err(|_| Breach::Gone)?;
        match opening(&control)? {
            Opening::Control { version: VERSION } => {}
            Opening::Control { version } => return Err(Breach::Version(version)),
            Opening::Stream(_) => return Err(Breach::Order),
        }
        self.phases.reach(Milestone::InitStarted);
        self.shared.state().progress = Progress::Preparing;
        protocol::write(&control, &ToGuest::Start(Box::new(self.job.clone())), TO_GUEST_MAX)?;
        for (stream, pump) in std::mem::take(&mut self.pumps) {
            let connection = self.incoming.recv().map_err(|_| Breach::Gone)?;
            if opening(&connection)? != Opening::Stream(stream) {
                return Err(Breach::Order);
            }
            // The thread is there until it has had one.
            let _ = pump.send(connection);
        }
        loop {
            match protocol::read(&control, FROM_GUEST_MAX)?.ok_or(Breach::Gone)? {
                ToHost::Started => self.started(&control)?,
                ToHost::Signalled => self.shared.state().answered = true,
                ToHost::Failed(why) => {
                    // On one line: what stands on others looks like Kiln's own.
                    let lines: Vec<_> = why.lines().map(str::trim).collect();
                    return Ok(Progress::Failed(lines.join(" ")));
                }
                ToHost::Ended(end) => {
                    self.phases.reach(Milestone::CommandEnded);
                    // The streams have ended before; they are read to their end.
                    while self.written.recv().is_ok() {}
                    return Ok(Progress::Ended(end));
                }
            }
        }
    }

    fn started(&self, control: &UnixStream) -> Result<(), Breach> {
        let mut state = self.shared.state();
        if state.progress != Progress::Preparing {
            return Err(Breach::Order);
        }
        state.control = Some(control.try_clone().map_err(Breach::Host)?);
        state.progress = Progress::Running;
        self.phases.reach(Milestone::CommandStarted);
        if self.shared.has_terminal {
            match RawTerminal::enter(io::stdin().as_fd()) {
                Ok(terminal) => state.terminal = Some(terminal),
                Err(error) => log::warn!("the terminal stays as it is: {}", Chain(&error)),
            }
        }
        Ok(())
    }
}

/// What a connection is for.
fn opening(connection: &UnixStream) -> Result<Opening, Breach> {
    protocol::read(connection, FROM_GUEST_MAX)?.ok_or(Breach::Gone)
}
