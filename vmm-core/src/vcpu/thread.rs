use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::exits::{ExitCounters, ExitCounts};
use super::run::{Signals, run};
use super::snapshot::Exposure;
use super::{Desired, RunContext, Snapshot};
use crate::event::{MachineRequest, Worker, WorkerPanic, WorkerSpec};
use crate::kvm::{KvmCounts, Vcpu, VcpuError, VcpuStats};
use crate::sys::ThreadClock;

/// Enough for the exit handlers; what is not touched costs nothing.
const STACK_SIZE: usize = 256 << 10;

/// Why a vCPU's thread cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The vCPU cannot be made interruptible.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
    /// The host gives no thread.
    #[error("the host gives no thread for vCPU {id}")]
    Thread {
        /// The vCPU's number.
        id: u8,
        /// What the host said.
        source: io::Error,
    },
}

/// The thread of one vCPU, named `vcpuN`. It waits until
/// [`super::Control`] says that the machine runs, and ends when that says it
/// stopped; dropping it stops the machine, too.
pub struct VcpuThread {
    worker: Worker<()>,
    signals: Arc<Signals>,
    stats: Option<VcpuStats>,
}

impl VcpuThread {
    /// Starts the thread, waiting.
    ///
    /// # Errors
    /// A [`SpawnError`] if the host is out of threads or mappings.
    pub fn spawn(mut vcpu: Vcpu, context: RunContext) -> Result<Self, SpawnError> {
        let id = vcpu.id();
        let stats = context.with_stats.then(|| vcpu.stats().ok()).flatten();
        let signals = Arc::new(Signals {
            immediate_exit: vcpu.immediate_exit()?,
            clock: OnceLock::new(),
            probe: AtomicBool::new(false),
            halted: AtomicBool::new(false),
            exits: ExitCounters::default(),
            exposure: Exposure::default(),
        });
        let (control, leave) = (Arc::clone(&context.control), Arc::clone(&signals));
        let spec = WorkerSpec {
            name: format!("vcpu{id}"),
            stack: STACK_SIZE,
            wake: Box::new(move || {
                control.set(Desired::Stopped);
                leave.immediate_exit.set(true);
            }),
            requests: context.requests.clone(),
        };
        let theirs = Arc::clone(&signals);
        let worker = Worker::spawn(spec, move |_| {
            theirs.clock.get_or_init(ThreadClock::of_this_thread);
            if let Err(error) = run(&mut vcpu, &theirs, &context) {
                let why = format!("{error}: {}", error.source);
                context.requests.send(MachineRequest::HostFailed { why });
            }
        })
        .map_err(|source| SpawnError::Thread { id, source })?;
        worker.start();
        Ok(Self { worker, signals, stats })
    }

    /// Makes the vCPU leave the guest and look at [`super::Control`].
    pub fn kick(&self) {
        self.signals.immediate_exit.set(true);
        self.worker.kick();
    }

    /// Asks the vCPU to find out whether it has halted for good; a later
    /// [`VcpuThread::was_halted`] gives the answer.
    pub fn probe(&self) {
        // No answer in time is a no.
        self.signals.halted.store(false, Ordering::Release);
        self.signals.probe.store(true, Ordering::Release);
        self.kick();
    }

    /// Whether the last probe found that only an NMI or a reset can wake it.
    pub fn was_halted(&self) -> bool {
        self.signals.halted.load(Ordering::Acquire)
    }

    /// The processor time that its thread has used, guest time included;
    /// `None` before it begins.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.signals.clock.get().and_then(|clock| clock.now())
    }

    /// How often it has left the guest for Kiln.
    pub fn exits(&self) -> ExitCounts {
        self.signals.exits.read()
    }

    /// What KVM itself has counted, if [`RunContext::with_stats`] asked for it
    /// and it does.
    pub fn kvm_counts(&self) -> Option<KvmCounts> {
        self.stats.as_ref().map(VcpuStats::read)
    }

    /// Asks where the vCPU is; [`VcpuThread::snapshot`] gives the answer. It
    /// leaves the guest for that, for microseconds.
    pub fn ask_snapshot(&self) {
        self.signals.exposure.ask();
        self.kick();
    }

    /// The snapshot that was asked for; `None` if there is none by `deadline`,
    /// as when the vCPU is held up outside of the guest.
    pub fn snapshot(&self, deadline: Instant) -> Option<Snapshot> {
        self.signals.exposure.wait(deadline)
    }

    /// Stops the machine's vCPUs and joins this one's thread.
    ///
    /// # Errors
    /// If the thread panicked.
    pub fn stop(self) -> Result<(), WorkerPanic> {
        self.worker.stop().map(drop)
    }
}
