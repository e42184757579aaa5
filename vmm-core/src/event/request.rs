use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::kvm::Failure;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// What the guest, through a device, asks of the whole machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MachineRequest {
    /// Restart; `by` names the way, for the log.
    Reset {
        /// Which register or event asked for it.
        by: &'static str,
    },
    /// Power off.
    PowerOff,
    /// End the run with this exit status (isa-debug-exit).
    Exit(u8),
    /// A vCPU took a triple fault.
    TripleFault {
        /// The vCPU's number.
        cpu: u8,
        /// Where, unless the host's KVM has reset the vCPU with it (on AMD).
        rip: Option<u64>,
    },
    /// KVM cannot run a vCPU any further.
    VcpuFailed {
        /// The vCPU's number.
        cpu: u8,
        /// Where, if it can be read.
        rip: Option<u64>,
        /// Why.
        failure: Failure,
    },
    /// The host failed us; `why` is a sentence.
    HostFailed {
        /// What failed and why.
        why: String,
    },
    /// What the machine was started for is done.
    Finished,
    /// The user typed the escape key: end the run.
    Quit,
    /// A thread of ours panicked: end the run and name it.
    ThreadFailed {
        /// The thread's name.
        name: String,
    },
}

/// Carries [`MachineRequest`]s from any thread to the event loop.
///
/// The first request wins: a machine ends once. vCPU loops see
/// [`RequestSender::is_pending`] and stop entering the guest.
#[derive(Clone)]
pub struct RequestSender {
    shared: Arc<Shared>,
}

struct Shared {
    machine: Option<String>,
    first: Mutex<Option<MachineRequest>>,
    pending: AtomicBool,
    wake: EventFd,
}

impl RequestSender {
    /// A sender with nothing asked yet, of a machine without a name.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Self::of_machine(None)
    }

    /// A sender with nothing asked yet, of the machine `name`.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn of_machine(name: Option<&str>) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                machine: name.map(str::to_owned),
                first: Mutex::new(None),
                pending: AtomicBool::new(false),
                wake: EventFd::new(EFD_NONBLOCK)?,
            }),
        })
    }

    /// The machine's name, if it has one.
    pub fn machine(&self) -> Option<&str> {
        self.shared.machine.as_deref()
    }

    /// Asks for `request`; ignored if something was asked before.
    pub fn send(&self, request: MachineRequest) {
        let mut first = self.shared.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(request);
            self.shared.pending.store(true, Ordering::Release);
            // Fails only when the counter is full, and then the loop wakes too.
            let _ = self.shared.wake.write(1);
        }
    }

    /// Whether anything was asked.
    pub fn is_pending(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire)
    }

    /// What was asked first.
    pub fn first(&self) -> Option<MachineRequest> {
        self.shared.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Becomes readable when something is asked.
    pub fn wake(&self) -> &EventFd {
        &self.shared.wake
    }
}
