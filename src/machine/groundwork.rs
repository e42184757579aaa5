use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use kvm_bindings::CpuId;
use vmm_core::kvm::{System, Vm};
use vmm_core::sys::signal;

use super::RunError;
use super::error::host;

/// The thread's name.
const NAME: &str = "groundwork";

/// What every machine begins with, whatever its options are: /dev/kvm, and the
/// processor features that it supports. To ask for them is a third of what KVM
/// takes for a start, so a thread does it while the options are parsed and the
/// files opened. What goes wrong there is told when the machine is built.
pub struct Groundwork(Result<Begun, RunError>);

struct Begun {
    system: Arc<System>,
    features: Features,
}

impl Groundwork {
    /// Begins. The thread takes no signals; the caller does, as before.
    pub fn begin() -> Self {
        Self(Begun::new())
    }

    /// An empty VM, and the features that may take longer.
    pub(super) fn finish(self) -> Result<(Vm, Features), RunError> {
        let Begun { system, features } = self.0?;
        Ok((system.create_vm()?, features))
    }
}

impl Begun {
    fn new() -> Result<Self, RunError> {
        let system = Arc::new(System::open()?);
        let theirs = Arc::clone(&system);
        let builder = Builder::new().name(NAME.into()).stack_size(64 << 10);
        let ask = move || Ok(theirs.supported_cpuid()?);
        let thread = signal::shielded(|| builder.spawn(ask)).map_err(host("make a thread"))?;
        Ok(Self { system, features: Features(thread) })
    }
}

/// The processor features, as soon as KVM has said them.
pub(super) struct Features(JoinHandle<Result<CpuId, RunError>>);

impl Features {
    pub(super) fn wait(self) -> Result<CpuId, RunError> {
        self.0.join().map_err(|_| RunError::Thread(NAME.into()))?
    }
}
