use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use devices::backend::console::Output;
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
    /// Time to look whether the guest has halted.
    HaltCheck,
    /// The guest kernel has said all about its panic.
    PanicEnded,
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
    timeout: Option<TimerFd>,
    halt_check: TimerFd,
    happened: VecDeque<Happening>,
}

impl Supervisor {
    pub(super) fn new(
        requests: RequestSender,
        signals: Signals,
        consoles: Vec<Arc<Output>>,
        timeout: Option<Duration>,
    ) -> Result<Self, RunError> {
        let timer = |after: Duration| -> Result<TimerFd, RunError> {
            let mut timer = TimerFd::new().map_err(host("make a timer"))?;
            timer.reset(after, None).map_err(host("set a timer"))?;
            Ok(timer)
        };
        Ok(Self {
            requests,
            signals,
            undrained: consoles.len(),
            consoles,
            // A timer set to nothing would never fire.
            timeout: timeout.map(|t| timer(t.max(Duration::from_nanos(1)))).transpose()?,
            halt_check: timer(HaltWatch::FIRST)?,
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
        } else if !self.hear_console(fd)
            && let Some(timeout) = &mut self.timeout
        {
            let _ = timeout.wait();
            self.happened.push_back(Happening::TimedOut);
        }
    }

    /// Whether `fd` is one of a console's.
    fn hear_console(&mut self, fd: i32) -> bool {
        for console in &self.consoles {
            if fd == console.panic_ended().as_raw_fd() {
                let _ = console.panic_ended().read();
                self.happened.push_back(Happening::PanicEnded);
                return true;
            }
            if fd == console.done().as_raw_fd() {
                let _ = console.done().read();
                self.undrained -= 1;
                if self.undrained == 0 {
                    self.happened.push_back(Happening::Drained);
                }
                return true;
            }
        }
        false
    }

    fn sources(&self) -> impl Iterator<Item = i32> {
        [self.requests.wake().as_raw_fd(), self.signals.as_raw_fd(), self.halt_check.as_raw_fd()]
            .into_iter()
            .chain(self.consoles.iter().flat_map(|console| {
                [console.panic_ended().as_raw_fd(), console.done().as_raw_fd()]
            }))
            .chain(self.timeout.as_ref().map(AsRawFd::as_raw_fd))
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
