#![expect(unsafe_code, reason = "memory slots hand host addresses to KVM")]

use std::io;
use std::sync::{Arc, OnceLock};

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_pit_config, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, Kvm, VmFd};
use vm_memory::{GuestMemory, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use super::{IoeventDoorbells, LevelLine, MsiRoutes, Vcpu, VcpuError};
use crate::arch::x86_64::layout::{KVM_IDENTITY_MAP, KVM_TSS};
use crate::mem::GuestRam;

/// Why KVM refused to set up a VM.
#[derive(Debug, thiserror::Error)]
#[error("KVM refuses to {what}")]
pub struct VmError {
    /// What was asked, as a verb.
    pub what: &'static str,
    /// What the host said.
    pub source: io::Error,
}

fn refused(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> VmError {
    move |e| VmError { what, source: e.into() }
}

/// A virtual machine.
pub struct Vm(pub(super) Arc<Handle>);

/// KVM's descriptor of a VM, as everything that speaks to KVM shares it.
pub(super) struct Handle {
    pub(super) fd: VmFd,
    /// Keeps the mappings alive that the memory slots name: dropped after
    /// `fd`, which is declared first.
    ram: OnceLock<GuestRam>,
}

impl Vm {
    pub(super) fn create(kvm: &Kvm) -> Result<Self, VmError> {
        // KVM_CREATE_VM is interruptible: a signal is no reason to give up.
        loop {
            match kvm.create_vm() {
                Ok(fd) => return Ok(Self(Arc::new(Handle { fd, ram: OnceLock::new() }))),
                Err(e) if e.errno() == libc::EINTR => {}
                Err(e) => return Err(refused("create a VM")(e)),
            }
        }
    }

    /// Gives the VM its RAM. To be called once, before
    /// [`Vm::create_interrupt_chip`]: after it the first slot costs 6 ms.
    ///
    /// # Errors
    /// If KVM refuses a slot.
    ///
    /// # Panics
    /// If it has been called before.
    pub fn set_ram(&self, ram: &GuestRam) -> Result<(), VmError> {
        assert!(self.0.ram.set(ram.clone()).is_ok(), "a VM gets its RAM once");
        for (slot, region) in (0..).zip(ram.iter()) {
            let slot = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: region.as_ptr() as u64,
            };
            // SAFETY: the region is mapped for as long as `Handle::ram` lives.
            // Whoever holds the descriptor does so through `Handle`, which
            // drops `fd` before `ram`; every vCPU keeps the kernel's VM, but
            // runs only inside threads that are joined before.
            unsafe { self.0.fd.set_user_memory_region(slot) }
                .map_err(refused("give the VM its memory"))?;
        }
        Ok(())
    }

    /// Makes the in-kernel interrupt controllers: I/O APIC, local APICs, PICs.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn create_interrupt_chip(&self) -> Result<(), VmError> {
        let tss = usize::try_from(KVM_TSS).expect("below 4 GiB");
        self.0.fd.set_tss_address(tss).map_err(refused("place its task state segment"))?;
        self.0
            .fd
            .set_identity_map_address(KVM_IDENTITY_MAP)
            .map_err(refused("place its identity map"))?;
        self.0.fd.create_irq_chip().map_err(refused("create the interrupt chip"))
    }

    /// Makes the in-kernel 8254 timer, for kernels that know no better clock.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn create_timer(&self) -> Result<(), VmError> {
        let config = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
        self.0.fd.create_pit2(config).map_err(refused("create the 8254 timer"))
    }

    /// Makes vCPU number `id`, which is also its APIC id.
    ///
    /// # Errors
    /// If KVM refuses, for one because the host's limit is reached.
    pub fn create_vcpu(&self, id: u8) -> Result<Vcpu, VcpuError> {
        let fd = self.0.fd.create_vcpu(u64::from(id)).map_err(|e| VcpuError {
            id,
            what: "be created",
            source: e.into(),
        })?;
        Vcpu::new(fd, id, self.0.fd.run_size())
    }

    /// Lets writes to `event` raise interrupt `gsi`, without going through us.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn attach_irq(&self, event: &EventFd, gsi: u32) -> Result<(), VmError> {
        self.0.fd.register_irqfd(event, gsi).map_err(refused("attach an interrupt"))
    }

    /// Where devices get their message-signalled interrupts.
    pub fn msi_routes(&self) -> MsiRoutes {
        MsiRoutes::new(Arc::clone(&self.0))
    }

    /// Where devices hang their doorbells.
    pub fn doorbells(&self) -> IoeventDoorbells {
        IoeventDoorbells::new(Arc::clone(&self.0))
    }

    /// A level-triggered line into input `gsi` of the I/O APIC.
    pub fn level_line(&self, gsi: u32) -> LevelLine {
        LevelLine::new(Arc::clone(&self.0), gsi)
    }

    /// How many vCPUs the host allows.
    pub fn max_vcpus(&self) -> usize {
        usize::try_from(self.0.fd.check_extension_int(Cap::MaxVcpus)).unwrap_or(0)
    }

    /// Whether local APICs have the TSC deadline timer.
    pub fn has_tsc_deadline(&self) -> bool {
        self.0.fd.check_extension(Cap::TscDeadlineTimer)
    }
}
