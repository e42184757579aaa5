use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use devices::backend::console::Output;
use devices::pvpanic::PanicNote;
use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_core::event::RequestSender;
use vmm_core::sys::signal::{Order, Signals};
use vmm_sys_util::timerfd::TimerFd;

use super::RunError;
use super::error::host;
use super::halt::HaltWatch;

/// Something that the machine has to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// A device or vCPU asks something of the machine.
    Requested,
    /// A signal from outside.
    Order(Order),
    /// The time for the run is over.
    TimedOut,
    /// The guest has had its time to do something about a signal.
    GraceOver,
    /// Time to look whether the guest has halted.
    HaltCheck,
    /// The guest has not started in time, unless it has.
    BootTimedOut,
    /// Time to look at how the consoles do.
    ConsoleCheck,
    /// A console has shown something that ends the run.
    ConsoleNews,
    /// The guest kernel has told the panic device that it panics.
    Panicked,
    /// All output of the consoles is written, after they were closed.
    Drained,
}

/// The event loop's ear for everything that is not a device: it notes what
/// happens, and the machine acts on it.
pub(super) struct Supervisor {
    requests: RequestSender,
    signals: Signals,
    consoles: Vec<Arc<Output>>,
    /// How many of them are not done.
    undrained: usize,
    panic_note: Option<PanicNote>,
    timers: Vec<(TimerFd, Happening)>,
    halt_check: TimerFd,
    /// Runs once a signal was passed on to the command, if there is one.
    grace: Option<TimerFd>,
    happened: VecDeque<Happening>,
}

/// The times at which things happen by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// The run is over.
    pub timeout: Option<Duration>,
    /// The guest's first process must run.
    pub boot_timeout: Option<Duration>,
    /// The consoles are looked at, again and again.
    pub console_check: Option<Duration>,
    /// There is a command, which has some time to obey a signal.
    pub grace: bool,
}

impl Times {
    fn timers(self) -> Result<Vec<(TimerFd, Happening)>, RunError> {
        let once = [
            (self.timeout, None, Happening::TimedOut),
            (self.boot_timeout, None, Happening::BootTimedOut),
            (self.console_check, self.console_check, Happening::ConsoleCheck),
        ];
        let mut timers = Vec::new();
        for (after, again, happening) in once {
            if let Some(after) = after {
                timers.push((timer(after, again)?, happening));
            }
        }
        Ok(timers)
    }
}

fn timer(after: Duration, again: Option<Duration>) -> Result<TimerFd, RunError> {
    let mut timer = TimerFd::new().map_err(host("make a timer"))?;
    // A timer set to nothing would never fire.
    timer.reset(after.max(Duration::from_nanos(1)), again).map_err(host("set a timer"))?;
    Ok(timer)
}

impl Supervisor {
    pub(super) fn new(
        requests: RequestSender,
        signals: Signals,
        consoles: Vec<Arc<Output>>,
        panic_note: Option<PanicNote>,
        times: Times,
    ) -> Result<Self, RunError> {
        Ok(Self {
            requests,
            signals,
            undrained: consoles.len(),
            consoles,
            panic_note,
            timers: times.timers()?,
            grace: times.grace.then(TimerFd::new).transpose().map_err(host("make a timer"))?,
            halt_check: timer(HaltWatch::FIRST, None)?,
            happened: VecDeque::new(),
        })
    }

    /// The next thing that happened.
    pub(super) fn next(&mut self) -> Option<Happening> {
        self.happened.pop_front()
    }

    /// Lets [`Happening::HaltCheck`] happen after this time.
    pub(super) fn check_halt_after(&mut self, time: Duration) -> Result<(), RunError> {
        self.halt_check.reset(time, None).map_err(host("set a timer"))
    }

    /// Lets [`Happening::GraceOver`] happen after this time.
    pub(super) fn give_grace(&mut self, time: Duration) -> Result<(), RunError> {
        let Some(timer) = &mut self.grace else { return Ok(()) };
        timer.reset(time, None).map_err(host("set a timer"))
    }

    fn hear(&mut self, fd: i32) {
        // Reads that only make a descriptor quiet cannot fail in a way that
        // matters: the loop comes again.
        if fd == self.requests.wake().as_raw_fd() {
            let _ = self.requests.wake().read();
            self.happened.push_back(Happening::Requested);
        } else if fd == self.signals.as_raw_fd() {
            while let Ok(Some(order)) = self.signals.next() {
                self.happened.push_back(Happening::Order(order));
            }
        } else if fd == self.halt_check.as_raw_fd() {
            let _ = self.halt_check.wait();
            self.happened.push_back(Happening::HaltCheck);
        } else if let Some((timer, happening)) =
            self.timers.iter_mut().find(|(timer, _)| timer.as_raw_fd() == fd)
        {
            let _ = timer.wait();
            self.happened.push_back(*happening);
        } else if let Some(grace) = self.grace.as_mut().filter(|timer| timer.as_raw_fd() == fd) {
            let _ = grace.wait();
            self.happened.push_back(Happening::GraceOver);
        } else if let Some(note) = &self.panic_note
            && note.event().as_raw_fd() == fd
        {
            let _ = note.event().read();
            self.happened.push_back(Happening::Panicked);
        } else {
            self.hear_console(fd);
        }
    }

    fn hear_console(&mut self, fd: i32) {
        for console in &self.consoles {
            if fd == console.news().as_raw_fd() {
                let _ = console.news().read();
                self.happened.push_back(Happening::ConsoleNews);
            }
            if fd == console.done().as_raw_fd() {
                let _ = console.done().read();
                self.undrained -= 1;
                if self.undrained == 0 {
                    self.happened.push_back(Happening::Drained);
                }
            }
        }
    }

    fn sources(&self) -> impl Iterator<Item = i32> {
        [self.requests.wake().as_raw_fd(), self.signals.as_raw_fd(), self.halt_check.as_raw_fd()]
            .into_iter()
            .chain(
                self.consoles
                    .iter()
                    .flat_map(|console| [console.news().as_raw_fd(), console.done().as_raw_fd()]),
            )
            .chain(self.timers.iter().map(|(timer, _)| timer.as_raw_fd()))
            .chain(self.grace.as_ref().map(AsRawFd::as_raw_fd))
            .chain(self.panic_note.iter().map(|note| note.event().as_raw_fd()))
    }
}

impl MutEventSubscriber for Supervisor {
    fn init(&mut self, ops: &mut EventOps) {
        for fd in self.sources() {
            // The descriptors are open and not yet registered; what is left
            // is the host's limit on watches, which Kiln alone cannot reach.
            if let Err(error) = ops.add(Events::new_raw(fd, EventSet::IN)) {
                log::error!("the event loop refuses a descriptor: {error}");
            }
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        self.hear(events.fd());
    }
}
