use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devices::pvpanic::PanicNote;
use devices::virtio::balloon::BalloonHandle;
use devices::virtio::blk::{Resized, Resizer};
use log::Level;
use vmm_core::event::{MachineRequest, panic_if_asked};
use vmm_core::sys::footprint;
use vmm_core::sys::signal::{Order, Signals};
use vmm_core::sys::terminal;
use vmm_core::vcpu::{Control, Desired, VcpuThread};

use super::RunError;
use super::attach::Consoles;
use super::halt::{HaltWatch, Look};
use super::observer::Observer;
use super::outcome::Outcome;
use super::passt::PasstProcess;
use super::phases::Milestone;
use super::platform::Platform;
use super::supervisor::{Happening, Supervisor, Times};
use super::verdict::Ending;
use crate::agent::host::Session;
use crate::config::VmConfig;
use crate::exit::Chain;

/// How long the reader of a command's output has for what is left when a run
/// is cut short.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// How long the guest has to pass a signal on: a run that is told to end does so
/// within a second, if the guest is stuck.
const ANSWER: Duration = Duration::from_millis(900);
/// How long the command then has to obey it.
const OBEDIENCE: Duration = Duration::from_secs(5);

/// What a machine is made of.
pub(super) struct Parts {
    pub platform: Platform,
    pub consoles: Consoles,
    pub disks: Vec<Resizer>,
    pub balloon: Option<BalloonHandle>,
    pub session: Option<Session>,
    pub passts: Vec<PasstProcess>,
    pub panic_note: Option<PanicNote>,
    pub control: Arc<Control>,
    pub vcpus: Vec<VcpuThread>,
    pub signals: Signals,
}

/// A machine that is ready to run: its threads exist and wait.
pub(super) struct Machine {
    platform: Platform,
    consoles: Consoles,
    disks: Vec<Resizer>,
    balloon: Option<BalloonHandle>,
    /// The command, if the guest is for one.
    session: Option<Session>,
    /// The signal that was passed on to it.
    passed_on: Option<i32>,
    /// The guest has passed it on, and the command has its time to obey.
    has_been_heard: bool,
    /// They end with the machine, and the last thing that it does.
    _passts: Vec<PasstProcess>,
    control: Arc<Control>,
    vcpus: Vec<VcpuThread>,
    supervisor: Arc<Mutex<Supervisor>>,
    halt: HaltWatch,
    observer: Observer,
    /// Whether the code that only starting needs has been given back.
    settled: bool,
}

impl Machine {
    pub(super) fn new(parts: Parts, config: &VmConfig) -> Result<Self, RunError> {
        let Parts { mut platform, consoles, panic_note, .. } = parts;
        let observer = Observer::new(config, &consoles, panic_note.clone());
        let supervisor = Arc::new(Mutex::new(Supervisor::new(
            platform.requests.clone(),
            parts.signals,
            consoles.outputs().cloned().collect(),
            panic_note,
            Times { grace: parts.session.is_some(), ..observer.times() },
        )?));
        platform.subscribe(Arc::clone(&supervisor) as _);
        Ok(Self {
            platform,
            consoles,
            disks: parts.disks,
            balloon: parts.balloon,
            session: parts.session,
            passed_on: None,
            has_been_heard: false,
            _passts: parts.passts,
            control: parts.control,
            vcpus: parts.vcpus,
            supervisor,
            halt: HaltWatch::default(),
            observer,
            settled: false,
        })
    }

    /// Runs the guest to its end, takes the machine down, and says how it
    /// went.
    pub(super) fn run(mut self) -> Result<Outcome, RunError> {
        self.consoles.start()?;
        self.session.iter().for_each(Session::start);
        self.platform.phases.reach(Milestone::KernelStarted);
        self.control.set(Desired::Running);
        self.observer.mark(&self.vcpus);
        panic_if_asked("main");
        let ending = self.listen(Self::act_on);
        let is_hung = ending.as_ref().is_ok_and(Ending::is_timeout);
        let whereabouts = if is_hung { self.observer.whereabouts(&self.vcpus) } else { Vec::new() };
        let ending = self.stop(ending);
        self.consoles.leave_terminal();
        self.session.iter().for_each(Session::leave_terminal);
        let ending = ending.and_then(|ending| self.drain(ending));
        let mut seen = self.observer.conclude(&self.consoles, whereabouts);
        if let Some(started) = seen.evidence.facts.init_started {
            self.platform.phases.reach_at(Milestone::InitStarted, started);
        }
        let Self { platform, consoles, session, .. } = self;
        // With the devices, what the session waits for ends.
        drop(platform);
        let deadline = Instant::now() + LAST_MOMENT;
        seen.evidence.command = session.map(|session| session.finish(deadline)).transpose()?;
        consoles.finish()?;
        seen.outcome(ending?)
    }

    /// The event loop: has `act` act on whatever happens until it is done.
    fn listen<T>(
        &mut self,
        act: impl Fn(&mut Self, Happening) -> Result<Option<T>, RunError>,
    ) -> Result<T, RunError> {
        loop {
            self.platform
                .events
                .run()
                .map_err(|e| RunError::Failed(format!("the event loop failed: {e}")))?;
            while let Some(happening) = self.next_happening() {
                if let Some(done) = act(self, happening)? {
                    return Ok(done);
                }
            }
        }
    }

    fn next_happening(&self) -> Option<Happening> {
        self.supervisor().next()
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act_on(&mut self, happening: Happening) -> Result<Option<Ending>, RunError> {
        Ok(match happening {
            Happening::Requested => self.platform.requests.first().map(Ending::Requested),
            Happening::Order(Order::End(signal)) => self.end_by(signal)?,
            Happening::Order(Order::Stop) => {
                self.suspend()?;
                None
            }
            Happening::Order(Order::Continue) => {
                self.consoles.resume();
                self.session.iter().for_each(Session::fit);
                None
            }
            Happening::Order(Order::Resize) => {
                self.consoles.fit();
                self.session.iter().for_each(Session::fit);
                None
            }
            Happening::Order(Order::Refresh) => {
                self.refresh_disks();
                if let Some(balloon) = &self.balloon {
                    balloon.ask_for_stats();
                }
                None
            }
            Happening::TimedOut => self.observer.timeout().map(Ending::TimedOut),
            Happening::BootTimedOut => {
                let has_started = self.platform.phases.has_reached(Milestone::InitStarted)
                    || self.consoles.facts().init_started.is_some();
                let timeout = self.observer.boot_timeout();
                timeout.filter(|_| !has_started).map(Ending::BootTimedOut)
            }
            Happening::ConsoleNews => self.observer.news(&self.consoles),
            Happening::ConsoleCheck => {
                self.observer.look_at_consoles(&self.consoles, &self.vcpus);
                None
            }
            Happening::Panicked => {
                self.observer.panicked();
                self.supervisor().check_halt_after(Observer::LAST_WORDS)?;
                None
            }
            Happening::GraceOver => self.grace_over()?,
            Happening::Drained => None,
            Happening::HaltCheck => self.check_halt()?,
        })
    }

    /// Looks whether the guest still does anything, now and then.
    fn check_halt(&mut self) -> Result<Option<Ending>, RunError> {
        self.settle();
        self.observer.mark(&self.vcpus);
        if self.observer.is_over() {
            return Ok(Some(Ending::PanicEnded));
        }
        match self.halt.look(&self.vcpus) {
            Look::Halted => Ok(Some(Ending::Halted)),
            Look::Again(after) => {
                self.supervisor().check_halt_after(after)?;
                Ok(None)
            }
        }
    }

    /// A signal that ends the run goes to the command first, if one runs that
    /// has had none before.
    fn end_by(&mut self, signal: i32) -> Result<Option<Ending>, RunError> {
        let number = u8::try_from(signal).expect("signals are below 65");
        let has_command = self.session.as_ref().is_some_and(|session| session.signal(number));
        if self.passed_on.replace(signal).is_some() || !has_command {
            return Ok(Some(Ending::Signal(signal)));
        }
        self.supervisor().give_grace(ANSWER)?;
        Ok(None)
    }

    /// A guest that has passed the signal on gives the command more time, once;
    /// one that has not is stuck.
    fn grace_over(&mut self) -> Result<Option<Ending>, RunError> {
        let has_passed = self.session.as_ref().is_some_and(Session::has_answered);
        if has_passed && !std::mem::replace(&mut self.has_been_heard, true) {
            self.supervisor().give_grace(OBEDIENCE)?;
            return Ok(None);
        }
        Ok(self.passed_on.map(Ending::Signal))
    }

    /// Looks again at how large the disks are and tells the guest of those
    /// that changed. A disk that cannot be looked at stays as it was.
    fn refresh_disks(&self) {
        for disk in &self.disks {
            let name = disk.name();
            match disk.resize() {
                Ok(Some(Resized { from, to })) => {
                    let level = if to < from { Level::Warn } else { Level::Info };
                    log::log!(level, "disk {name} has {to} bytes now, {from} before");
                }
                Ok(None) => log::info!("disk {name} is as large as it was"),
                Err(error) => {
                    log::warn!("disk {name} cannot be looked at again: {}", Chain(&error));
                }
            }
        }
    }

    /// Job control's Ctrl-Z from outside: gives the terminal back and stops
    /// the whole process until it is continued.
    fn suspend(&self) -> Result<(), RunError> {
        terminal::restore();
        Signals::stop_self().map_err(super::error::host("stop the process"))
    }

    /// Once the start is over: gives back the memory that only it needed.
    fn settle(&mut self) {
        if !std::mem::replace(&mut self.settled, true)
            && let Err(error) = footprint::release_startup_code(Self::act_on as *const ())
        {
            log::debug!("the pages of the start-up code cannot be given back: {error}");
        }
    }

    /// The one way down, whatever the reason: vCPUs first, so that nothing
    /// new comes, then the devices' workers.
    fn stop(&mut self, ending: Result<Ending, RunError>) -> Result<Ending, RunError> {
        self.control.set(Desired::Stopped);
        // A vCPU may be waiting for room in the console's buffer.
        self.consoles.release();
        let mut panicked = None;
        for vcpu in self.vcpus.drain(..) {
            if let Err(panic) = vcpu.stop() {
                panicked.get_or_insert(panic);
            }
        }
        match panicked {
            Some(panic) => {
                Ok(Ending::Requested(MachineRequest::ThreadFailed { name: panic.thread }))
            }
            None => ending,
        }
    }

    /// Waits until the reader has taken all console output of a guest that
    /// ended by itself. A signal or the end of `--timeout` ends the waiting.
    fn drain(&mut self, ending: Ending) -> Result<Ending, RunError> {
        self.consoles.close();
        let was_cut_short = ending.is_timeout()
            || matches!(
                ending,
                Ending::Signal(_)
                    | Ending::Requested(MachineRequest::Quit | MachineRequest::HostFailed { .. })
            );
        if was_cut_short {
            return Ok(ending);
        }
        self.listen(|machine, happening| {
            Ok(match happening {
                Happening::Drained | Happening::TimedOut => Some(ending.clone()),
                Happening::Order(Order::End(_) | Order::Stop | Order::Continue) => {
                    machine.act_on(happening)?
                }
                Happening::Order(Order::Refresh | Order::Resize)
                | Happening::Requested
                | Happening::HaltCheck
                | Happening::BootTimedOut
                | Happening::ConsoleCheck
                | Happening::ConsoleNews
                | Happening::GraceOver
                | Happening::Panicked => None,
            })
        })
    }
}
