#![expect(unsafe_code, reason = "reads the union that KVM fills at an exit")]

use std::io;

use kvm_bindings::{
    CpuId, KVM_EXIT_IO_IN, KVM_INTERNAL_ERROR_EMULATION,
    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, KVM_MP_STATE_HALTED,
    KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED, KVM_SYSTEM_EVENT_RESET,
    KVM_SYSTEM_EVENT_SHUTDOWN, Msrs, kvm_lapic_state, kvm_msr_entry, kvm_regs, kvm_sregs,
};
use kvm_ioctls::{VcpuExit, VcpuFd};

use super::{Exit, Failure, ImmediateExit, VcpuStats};

/// Why a vCPU cannot be set up or read.
#[derive(Debug, thiserror::Error)]
#[error("vCPU {id} cannot {what}")]
pub struct VcpuError {
    /// The vCPU's number.
    pub id: u8,
    /// What it cannot, as a verb.
    pub what: &'static str,
    /// What the host said.
    pub source: io::Error,
}

/// A virtual processor.
pub struct Vcpu {
    fd: VcpuFd,
    id: u8,
    run_size: usize,
}

impl Vcpu {
    pub(super) fn new(fd: VcpuFd, id: u8, run_size: usize) -> Result<Self, VcpuError> {
        Ok(Self { fd, id, run_size })
    }

    /// Its number and APIC id.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// The byte through which other threads end [`Vcpu::run`].
    ///
    /// # Errors
    /// If the host refuses the mapping.
    pub fn immediate_exit(&self) -> Result<ImmediateExit, VcpuError> {
        ImmediateExit::map(&self.fd, self.run_size).map_err(|source| VcpuError {
            id: self.id,
            what: "be made interruptible",
            source,
        })
    }

    /// KVM's own statistics of it, a descriptor of their own.
    ///
    /// # Errors
    /// If this KVM has none (before Linux 5.14), or the host no descriptor left.
    pub fn stats(&self) -> io::Result<VcpuStats> {
        VcpuStats::open(&self.fd)
    }

    /// Enters the guest until it needs something.
    ///
    /// # Errors
    /// What KVM_RUN said, if that is no reason of the guest's.
    pub fn run(&mut self) -> Result<Exit<'_>, VcpuError> {
        let failure = match self.fd.run() {
            Ok(VcpuExit::IoIn(..) | VcpuExit::IoOut(..)) => return Ok(self.port_access()),
            Ok(VcpuExit::MmioRead(..) | VcpuExit::MmioWrite(..)) => return Ok(self.mmio_access()),
            Ok(VcpuExit::Intr | VcpuExit::IrqWindowOpen) => return Ok(Exit::Interrupted),
            Ok(VcpuExit::Shutdown) => return Ok(Exit::Shutdown),
            Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_SHUTDOWN, _)) => return Ok(Exit::PowerOff),
            Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_RESET, _)) => return Ok(Exit::Reset),
            Ok(VcpuExit::FailEntry(reason, _)) => Failure::Entry { reason },
            Ok(VcpuExit::MemoryFault { .. }) => Failure::Memory,
            Ok(VcpuExit::InternalError) => self.internal_error(),
            Ok(other) => Failure::Unknown(format!("{other:?}")),
            Err(e) => match e.errno() {
                libc::EINTR | libc::EAGAIN => return Ok(Exit::Interrupted),
                libc::EFAULT => Failure::Memory,
                _ => return Err(VcpuError { id: self.id, what: "run", source: e.into() }),
            },
        };
        Ok(Exit::Failed(failure))
    }

    /// The port access that ended the last run. kvm-ioctls gives the elements
    /// of a string instruction as one slice, without their size.
    fn port_access(&mut self) -> Exit<'_> {
        let run = self.fd.get_kvm_run();
        // SAFETY: KVM filled `io` for this exit; any bytes are valid for it.
        let io = unsafe { run.__bindgen_anon_1.io };
        let size = usize::from(io.size).max(1);
        let len = size * usize::try_from(io.count).expect("KVM gives at most a page of elements");
        let offset = usize::try_from(io.data_offset).expect("the data lie in the vCPU's mapping");
        assert!(offset + len <= self.run_size, "KVM places port data inside the vCPU's mapping");
        // SAFETY: the bytes lie inside the vCPU's shared mapping (checked
        // above), which lives as long as `self.fd`. The slice borrows `self`,
        // so nothing else looks at them until it is gone.
        let data = unsafe {
            let first = std::ptr::from_mut(self.fd.get_kvm_run()).cast::<u8>().add(offset);
            std::slice::from_raw_parts_mut(first, len)
        };
        let port = io.port;
        if u32::from(io.direction) == KVM_EXIT_IO_IN {
            Exit::PortIn { port, size, data }
        } else {
            Exit::PortOut { port, size, data }
        }
    }

    /// The memory-mapped access that ended the last run.
    fn mmio_access(&mut self) -> Exit<'_> {
        // SAFETY: KVM filled `mmio` for this exit; any bytes are valid for it.
        let mmio = unsafe { &mut self.fd.get_kvm_run().__bindgen_anon_1.mmio };
        let len = usize::try_from(mmio.len).unwrap_or(0).min(mmio.data.len());
        let (addr, data) = (mmio.phys_addr, &mut mmio.data[..len]);
        if mmio.is_write == 0 {
            Exit::MmioRead { addr, data }
        } else {
            Exit::MmioWrite { addr, data }
        }
    }

    fn internal_error(&mut self) -> Failure {
        let run = self.fd.get_kvm_run();
        // SAFETY: KVM fills `internal`, and its extension for emulation
        // failures, for KVM_EXIT_INTERNAL_ERROR; all fields are integers.
        let (suberror, failure) = unsafe {
            (run.__bindgen_anon_1.internal.suberror, run.__bindgen_anon_1.emulation_failure)
        };
        if suberror != KVM_INTERNAL_ERROR_EMULATION {
            return Failure::Internal { suberror };
        }
        let has_bytes = failure.ndata >= 3
            && failure.flags & u64::from(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
        // SAFETY: as above.
        let insn = unsafe { failure.__bindgen_anon_1.__bindgen_anon_1 };
        let len =
            if has_bytes { usize::from(insn.insn_size).min(insn.insn_bytes.len()) } else { 0 };
        Failure::Emulation { instruction: insn.insn_bytes[..len].to_vec() }
    }

    /// Sets what CPUID answers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn set_cpuid(&self, cpuid: &CpuId) -> Result<(), VcpuError> {
        self.checked("take its CPUID leaves", self.fd.set_cpuid2(cpuid))
    }

    /// The general registers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn regs(&self) -> Result<kvm_regs, VcpuError> {
        self.checked("give its registers", self.fd.get_regs())
    }

    /// Sets the general registers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn set_regs(&self, regs: &kvm_regs) -> Result<(), VcpuError> {
        self.checked("take its registers", self.fd.set_regs(regs))
    }

    /// The segment and control registers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn sregs(&self) -> Result<kvm_sregs, VcpuError> {
        self.checked("give its control registers", self.fd.get_sregs())
    }

    /// Sets the segment and control registers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn set_sregs(&self, sregs: &kvm_sregs) -> Result<(), VcpuError> {
        self.checked("take its control registers", self.fd.set_sregs(sregs))
    }

    /// The local APIC's registers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn lapic(&self) -> Result<kvm_lapic_state, VcpuError> {
        self.checked("give its local APIC", self.fd.get_lapic())
    }

    /// Sets the local APIC's registers.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn set_lapic(&self, lapic: &kvm_lapic_state) -> Result<(), VcpuError> {
        self.checked("take its local APIC", self.fd.set_lapic(lapic))
    }

    /// Sets model-specific registers, as far as this host's KVM knows them;
    /// gives back the indices that it refused.
    ///
    /// # Errors
    /// If KVM fails for another reason than an unknown register.
    pub fn set_msrs(&self, entries: &[kvm_msr_entry]) -> Result<Vec<u32>, VcpuError> {
        let mut refused = Vec::new();
        let mut rest = entries;
        while !rest.is_empty() {
            let msrs = Msrs::from_entries(rest).expect("a handful of registers fits");
            let done =
                self.checked("take its model-specific registers", self.fd.set_msrs(&msrs))?;
            // KVM stops at the first register that it refuses.
            if let Some(entry) = rest.get(done) {
                refused.push(entry.index);
            }
            rest = rest.get(done + 1..).unwrap_or_default();
        }
        Ok(refused)
    }

    /// Where 64-bit system calls go: `IA32_LSTAR` (Intel SDM 4 §2.1), if KVM
    /// says.
    pub fn lstar(&self) -> Option<u64> {
        const IA32_LSTAR: u32 = 0xc000_0082;
        let entry = kvm_msr_entry { index: IA32_LSTAR, ..Default::default() };
        let mut msrs = Msrs::from_entries(&[entry]).expect("one register fits");
        let count = self.fd.get_msrs(&mut msrs).ok()?;
        (count == 1).then(|| msrs.as_slice()[0].data)
    }

    /// Whether it has halted.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn is_halted(&self) -> Result<bool, VcpuError> {
        let state = self.checked("give its state", self.fd.get_mp_state())?.mp_state;
        Ok(state == KVM_MP_STATE_HALTED)
    }

    /// The frequency of its time stamp counter in kHz, if KVM says.
    pub fn tsc_khz(&self) -> Option<u32> {
        self.fd.get_tsc_khz().ok().filter(|khz| *khz > 0)
    }

    /// Whether nothing but an NMI or a reset can wake it: it waits for its
    /// start-up, or has halted with interrupts masked. To be asked right
    /// after [`Exit::Interrupted`].
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn is_halted_for_good(&mut self) -> Result<bool, VcpuError> {
        let state = self.checked("give its state", self.fd.get_mp_state())?.mp_state;
        let masked = self.fd.get_kvm_run().if_flag == 0;
        Ok(match state {
            KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED => true,
            KVM_MP_STATE_HALTED => masked,
            _ => false,
        })
    }

    fn checked<T>(
        &self,
        what: &'static str,
        result: Result<T, kvm_ioctls::Error>,
    ) -> Result<T, VcpuError> {
        result.map_err(|e| VcpuError { id: self.id, what, source: e.into() })
    }
}
