use std::array;
use std::sync::{Arc, Mutex};

use boot::acpi::{PciHost, PciInterrupt};
use devices::legacy::ResetControl;
use devices::pci::{Aperture, ConfigPorts, Ecam, Function, Root, SLOT_COUNT, Space};
use devices::virtio::VirtioDevice;
use devices::virtio::transport::Pci;
use vmm_core::arch::x86_64::layout;
use vmm_core::bus::{AddrRange, Bus, Doorbells};
use vmm_core::irq::SharedLine;
use vmm_core::kvm::{MsiRoutes, Vm};
use vmm_core::mem::GuestRam;

use super::RunError;
use super::error::host;
use super::platform::window;

/// The PCI bus of a machine, and what its functions share.
pub(super) struct PciBus {
    root: Arc<Root>,
    /// The pins' lines; slots beyond their number share them.
    lines: [Arc<SharedLine>; LINES],
    messages: MsiRoutes,
}

const LINES: usize = layout::PCI_GSI_COUNT as usize;

impl PciBus {
    /// How many devices it takes: the host bridge has a slot, too.
    pub(super) const MAX_DEVICES: usize = SLOT_COUNT - 1;

    /// An empty bus, reached through windows of `mmio` and `ports`, with
    /// `reset` between its ports.
    pub(super) fn new(
        vm: &Vm,
        mmio: &Bus,
        ports: &Bus,
        reset: ResetControl,
    ) -> Result<Self, RunError> {
        let root = Arc::new(Root::new());
        let config = ConfigPorts::new(Arc::clone(&root), reset);
        ports.insert(window(layout::PCI_CONFIG, ConfigPorts::WINDOW), Arc::new(config))?;
        mmio.insert(ecam(), Arc::new(Ecam::new(Arc::clone(&root))))?;
        for (bus, space, range) in [(mmio, Space::Memory, memory()), (ports, Space::Io, io())] {
            let aperture = Aperture::new(Arc::clone(&root), space, range.base());
            bus.insert(range, Arc::new(aperture))?;
        }
        let lines = array::from_fn(|slot| SharedLine::new(vm.level_line(gsi(slot))));
        Ok(Self { root, lines, messages: vm.msi_routes() })
    }

    /// Puts `device` into the next slot.
    pub(super) fn add(
        &self,
        device: Box<dyn VirtioDevice>,
        ram: &Arc<GuestRam>,
        doorbells: &Arc<dyn Doorbells>,
    ) -> Result<(), RunError> {
        let line = Arc::new(self.lines[self.root.count() % LINES].tap());
        let function = Pci::new(device, Arc::clone(ram), line, &self.messages)
            .map_err(host("make a PCI device"))?
            .with_doorbells(Arc::clone(doorbells));
        self.root.add(Arc::new(Mutex::new(function)))?;
        Ok(())
    }

    /// Puts a function that is no virtio device into the next slot.
    pub(super) fn add_function(&self, function: impl Function + 'static) -> Result<(), RunError> {
        self.root.add(Arc::new(Mutex::new(function)))?;
        Ok(())
    }

    /// Does a firmware's part, once all devices are there.
    pub(super) fn assign(&self) -> Result<(), RunError> {
        let line = |slot: u8| u8::try_from(gsi(slot.into())).unwrap_or(u8::MAX);
        Ok(self.root.assign(memory(), io(), line)?)
    }

    /// The bus as ACPI tells of it.
    pub(super) fn describe() -> PciHost {
        let interrupt = |slot: u8| PciInterrupt { slot, gsi: gsi(slot.into()) };
        let slots = (1..SLOT_COUNT).filter_map(|slot| u8::try_from(slot).ok());
        PciHost {
            ecam: ecam(),
            memory: memory(),
            ports: io(),
            config_ports: u16::try_from(layout::PCI_CONFIG).expect("ports have 16 bits"),
            interrupts: slots.map(interrupt).collect(),
        }
    }
}

/// The interrupt of a slot's INTA#.
fn gsi(slot: usize) -> u32 {
    layout::PCI_GSI_FIRST + u32::try_from(slot % LINES).expect("a few lines")
}

fn ecam() -> AddrRange {
    window(layout::PCI_ECAM, layout::PCI_ECAM_SIZE)
}

fn memory() -> AddrRange {
    window(layout::PCI_MEMORY, layout::PCI_MEMORY_SIZE)
}

fn io() -> AddrRange {
    window(layout::PCI_PORTS, layout::PCI_PORTS_SIZE)
}
