use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kvm_bindings::{kvm_regs, kvm_sregs};

use crate::kvm::{Vcpu, VcpuError};

/// Where a vCPU was at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its general registers, instruction pointer and flags.
    pub regs: kvm_regs,
    /// Its segment and control registers.
    pub sregs: kvm_sregs,
    /// Where its system calls go (`IA32_LSTAR`), if KVM says.
    pub lstar: Option<u64>,
    /// Whether it has halted, with interrupts on or off.
    pub halted: bool,
}

impl Snapshot {
    fn of(vcpu: &Vcpu) -> Result<Self, VcpuError> {
        Ok(Self {
            regs: vcpu.regs()?,
            sregs: vcpu.sregs()?,
            lstar: vcpu.lstar(),
            halted: vcpu.is_halted()?,
        })
    }
}

/// Where a vCPU's thread puts a snapshot that another thread asks for.
#[derive(Default)]
pub(super) struct Exposure {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: bool,
    taken: Option<Snapshot>,
}

impl Exposure {
    /// Asks for one, and forgets the last.
    pub(super) fn ask(&self) {
        *self.lock() = State { asked: true, taken: None };
    }

    /// Called by the vCPU's thread out of the guest: takes one if one is asked
    /// for.
    pub(super) fn answer(&self, vcpu: &Vcpu) -> Result<(), VcpuError> {
        let mut state = self.lock();
        if state.asked {
            *state = State { asked: false, taken: Some(Snapshot::of(vcpu)?) };
            self.changed.notify_all();
        }
        Ok(())
    }

    /// The one that was asked for; `None` if there is none by `deadline`.
    pub(super) fn wait(&self, deadline: Instant) -> Option<Snapshot> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waited = self
            .changed
            .wait_timeout_while(self.lock(), left, |state| state.taken.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        waited.0.taken.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
