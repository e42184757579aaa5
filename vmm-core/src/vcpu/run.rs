use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::exits::ExitCounters;
use super::snapshot::Exposure;
use super::{Control, Desired};
use crate::bus::Bus;
use crate::event::{MachineRequest, RequestSender, panic_if_asked};
use crate::kvm::{Exit, ImmediateExit, Vcpu, VcpuError};
use crate::sys::ThreadClock;

/// What every vCPU's loop works with.
#[derive(Clone)]
pub struct RunContext {
    /// Port space.
    pub ports: Arc<Bus>,
    /// Memory-mapped devices.
    pub mmio: Arc<Bus>,
    /// Where requests of the guest go.
    pub requests: RequestSender,
    /// Says whether to run.
    pub control: Arc<Control>,
    /// Whether KVM's own statistics will be asked for: it takes a descriptor
    /// and some microseconds for each vCPU.
    pub with_stats: bool,
}

/// What other threads tell one vCPU.
pub(super) struct Signals {
    pub immediate_exit: ImmediateExit,
    /// The thread's processor time, once it has begun.
    pub clock: OnceLock<ThreadClock>,
    /// Asks the vCPU to find out whether it has halted for good.
    pub probe: AtomicBool,
    /// What it found.
    pub halted: AtomicBool,
    /// How often it left the guest.
    pub exits: ExitCounters,
    /// Where it was when that was last asked.
    pub exposure: Exposure,
}

/// Runs the guest on `vcpu` until the machine stops.
///
/// A kick always shows as [`Exit::Interrupted`], so only there, and after a
/// request of the guest, is there anything to look at.
pub(super) fn run(
    vcpu: &mut Vcpu,
    signals: &Signals,
    context: &RunContext,
) -> Result<(), VcpuError> {
    let requests = &context.requests;
    if context.control.wait(|| false) == Desired::Stopped {
        return Ok(());
    }
    panic_if_asked(&format!("vcpu{}", vcpu.id()));
    loop {
        let exit = vcpu.run()?;
        signals.exits.count(&exit);
        match exit {
            Exit::PortOut { port, size, data } => {
                for element in data.chunks(size) {
                    context.ports.write(u64::from(port), element);
                }
            }
            Exit::PortIn { port, size, data } => {
                for element in data.chunks_mut(size) {
                    context.ports.read(u64::from(port), element);
                }
            }
            Exit::MmioWrite { addr, data } => {
                context.mmio.write(addr, data);
            }
            Exit::MmioRead { addr, data } => {
                context.mmio.read(addr, data);
            }
            Exit::Interrupted => {
                signals.immediate_exit.set(false);
                signals.exposure.answer(vcpu)?;
                if signals.probe.swap(false, Ordering::AcqRel) {
                    signals.halted.store(vcpu.is_halted_for_good()?, Ordering::Release);
                }
                if context.control.wait(|| requests.is_pending()) == Desired::Stopped {
                    return Ok(());
                }
            }
            Exit::PowerOff => requests.send(MachineRequest::PowerOff),
            Exit::Reset => requests.send(MachineRequest::Reset { by: "KVM" }),
            Exit::Shutdown => {
                let (cpu, rip) = (vcpu.id(), rip_after_fault(vcpu));
                requests.send(MachineRequest::TripleFault { cpu, rip });
            }
            Exit::Failed(failure) => {
                let (cpu, rip) = (vcpu.id(), vcpu.regs().ok().map(|r| r.rip));
                requests.send(MachineRequest::VcpuFailed { cpu, rip, failure });
            }
        }
        if requests.is_pending()
            && context.control.wait(|| requests.is_pending()) == Desired::Stopped
        {
            return Ok(());
        }
    }
}

/// Where a triple fault happened. KVM on AMD resets the vCPU with it: then
/// RIP is that of the reset vector and tells nothing.
fn rip_after_fault(vcpu: &Vcpu) -> Option<u64> {
    const RESET_RIP: u64 = 0xfff0;
    const RESET_CS_BASE: u64 = 0xffff_0000;
    let rip = vcpu.regs().ok()?.rip;
    let cs_base = vcpu.sregs().ok()?.cs.base;
    ((rip, cs_base) != (RESET_RIP, RESET_CS_BASE)).then_some(rip)
}
