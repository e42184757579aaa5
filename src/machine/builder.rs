use std::sync::Arc;

use boot::KernelKind;
use boot::acpi::{AcpiDescription, SerialPort};
use devices::legacy::ResetControl;
use event_manager::EventManager;
use kvm_bindings::CpuId;
use vmm_core::arch::x86_64::cpuid::{self, CpuidConfig};
use vmm_core::arch::x86_64::{EntryPoint, lapic, layout, msr, regs};
use vmm_core::bus::Bus;
use vmm_core::event::RequestSender;
use vmm_core::kvm::{HostKind, Vcpu, Vm};
use vmm_core::mem;
use vmm_core::sys::signal::Signals;
use vmm_core::vcpu::{Control, RunContext, VcpuThread};

use super::error::host;
use super::groundwork::Groundwork;
use super::inputs::Inputs;
use super::lifecycle::{Machine, Parts};
use super::pci::PciBus;
use super::phases::Phases;
use super::platform::{EventLoop, Places, Platform};
use super::{RunError, attach};
use crate::config::{PvPanic, Rng, Transport, VmConfig, VmName};

/// Builds the machine, one step a function, in the order that starts fastest:
/// memory slots before the interrupt chip, no slot changes after.
pub(super) fn build(
    groundwork: Groundwork,
    config: &VmConfig,
    mut inputs: Inputs,
    signals: Signals,
    phases: Arc<Phases>,
) -> Result<Machine, RunError> {
    check_counts(config, &inputs)?;
    let (vm, features) = groundwork.finish()?;
    warn_of_slow_host(&inputs);
    let mut platform = platform(config, vm, phases)?;
    if inputs.kernel.kind() == KernelKind::Multiboot {
        platform.vm.create_timer()?;
    }
    let mut consoles = attach::serial(&mut platform, inputs.serial)?;
    attach::legacy(&platform)?;
    let panic_note = attach::pvpanic(&platform, config)?;
    let disks = attach::disks(&mut platform, config, inputs.disks)?;
    attach::nets(&mut platform, config, inputs.nets.interfaces)?;
    attach::vsock(&mut platform, inputs.sockets)?;
    attach::shares(&mut platform, config, inputs.shares)?;
    attach::rng(&mut platform, config)?;
    if let Some(sink) = inputs.hvc {
        attach::hvc(&mut platform, &mut consoles, sink)?;
    }
    let balloon = attach::balloon(&mut platform, config)?;
    if let Places::Pci(bus) = &platform.places {
        bus.assign()?;
    }

    let vcpus = vcpus(config, &features.wait()?, &platform)?;
    let rsdp = boot::acpi::write(&platform.ram, &describe(config, &platform))?;
    let entry =
        boot::load(&platform.ram, &mut inputs.kernel, &inputs.initrds, &config.cmdline, rsdp)?;
    set_entry(&vcpus[0], &platform, entry)?;
    let context = RunContext {
        ports: Arc::clone(&platform.ports),
        mmio: Arc::clone(&platform.mmio),
        requests: platform.requests.clone(),
        control: Arc::new(Control::new()),
        with_stats: config.may_be_asked_where_it_is(),
    };
    let vcpus = vcpus
        .into_iter()
        .map(|vcpu| VcpuThread::spawn(vcpu, context.clone()))
        .collect::<Result<_, _>>()?;
    let control = context.control;
    let session = inputs.errand.map(|errand| errand.into_session(&platform)).transpose()?;
    let passts = inputs.nets.passts;
    let parts = Parts {
        platform,
        consoles,
        disks,
        balloon,
        session,
        passts,
        panic_note,
        control,
        vcpus,
        signals,
    };
    Machine::new(parts, config)
}

fn check_counts(config: &VmConfig, inputs: &Inputs) -> Result<(), RunError> {
    let transport = config.transport;
    let singles = [
        config.rng == Rng::On,
        config.console.hvc.is_some(),
        inputs.sockets.is_some(),
        config.balloon.is_some(),
        config.pvpanic == PvPanic::Pci,
    ];
    let singles = singles.into_iter().filter(|is_there| *is_there).count();
    let count = config.disks.len() + config.nets.len() + config.all_shares().len() + singles;
    let limit = Places::limit(transport);
    if count > limit {
        return Err(RunError::TooManyDevices { count, limit, transport });
    }
    Ok(())
}

fn warn_of_slow_host(inputs: &Inputs) {
    if inputs.kernel.is_linux()
        && let Some(warning) = HostKind::detect().stock_kernel_warning()
    {
        log::warn!("{warning}");
    }
}

/// The VM with its memory and interrupt chip, and nothing attached yet.
fn platform(config: &VmConfig, vm: Vm, phases: Arc<Phases>) -> Result<Platform, RunError> {
    let ram = mem::allocate(&mem::plan(config.memory.bytes())).map_err(RunError::Memory)?;
    let limit = vm.max_vcpus();
    if usize::from(config.cpus.get()) > limit {
        return Err(RunError::TooManyCpus { cpus: config.cpus.get(), limit });
    }
    vm.set_ram(&ram)?;
    vm.create_interrupt_chip()?;
    let events: EventLoop = EventManager::new()
        .map_err(|e| RunError::Failed(format!("the event loop cannot be made: {e}")))?;
    let requests = RequestSender::of_machine(config.name.as_ref().map(VmName::as_str))
        .map_err(host("make an eventfd"))?;
    let (ports, mmio) = (Bus::new(), Bus::new());
    let places = match config.transport {
        Transport::Mmio => Places::Mmio(Vec::new()),
        Transport::Pci => {
            Places::Pci(PciBus::new(&vm, &mmio, &ports, ResetControl::new(requests.clone()))?)
        }
    };
    Ok(Platform {
        doorbells: Arc::new(vm.doorbells()),
        vm,
        ram: Arc::new(ram),
        ports: Arc::new(ports),
        mmio: Arc::new(mmio),
        requests,
        events,
        places,
        phases,
    })
}

/// The vCPUs with everything that does not depend on the kernel.
fn vcpus(config: &VmConfig, supported: &CpuId, platform: &Platform) -> Result<Vec<Vcpu>, RunError> {
    let cpus = config.cpus.get();
    let mut leaves: Option<CpuId> = None;
    let mut vcpus = Vec::with_capacity(cpus.into());
    for id in 0..cpus {
        let vcpu = platform.vm.create_vcpu(id)?;
        let leaves = leaves.get_or_insert_with(|| {
            let tsc_deadline = platform.vm.has_tsc_deadline();
            let config = CpuidConfig { cpus, tsc_khz: vcpu.tsc_khz(), tsc_deadline };
            cpuid::for_machine(supported, config)
        });
        cpuid::set_cpu(leaves, id);
        vcpu.set_cpuid(leaves)?;
        for index in vcpu.set_msrs(&msr::boot_values())? {
            log::debug!("this host's KVM refuses model-specific register {index:#x}");
        }
        let mut pins = vcpu.lapic()?;
        lapic::connect_pins(&mut pins);
        vcpu.set_lapic(&pins)?;
        vcpus.push(vcpu);
    }
    Ok(vcpus)
}

/// What the ACPI tables say.
fn describe(config: &VmConfig, platform: &Platform) -> AcpiDescription {
    let (virtio_mmio, pci) = match &platform.places {
        Places::Mmio(devices) => (devices.clone(), None),
        Places::Pci(_) => (Vec::new(), Some(PciBus::describe())),
    };
    let port = |port: u64| u16::try_from(port).expect("ports have 16 bits");
    AcpiDescription {
        cpus: config.cpus.get(),
        serial: Some(SerialPort { port: port(layout::SERIAL), gsi: layout::SERIAL_GSI }),
        panic_port: (config.pvpanic == PvPanic::Isa).then(|| port(layout::PVPANIC)),
        virtio_mmio,
        pci,
    }
}

fn set_entry(vcpu: &Vcpu, platform: &Platform, entry: EntryPoint) -> Result<(), RunError> {
    let (regs, sregs) =
        regs::enter(&platform.ram, entry, vcpu.sregs()?).map_err(RunError::Entry)?;
    vcpu.set_sregs(&sregs)?;
    vcpu.set_regs(&regs)?;
    Ok(())
}
