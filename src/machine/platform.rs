use std::sync::{Arc, Mutex};

use boot::acpi::VirtioMmio;
use devices::virtio::transport::Mmio;
use devices::virtio::{Subscriber, VirtioDevice};
use event_manager::{EventManager, SubscriberOps};
use vmm_core::arch::x86_64::layout;
use vmm_core::bus::{AddrRange, Bus, BusDevice, Doorbells};
use vmm_core::event::RequestSender;
use vmm_core::irq::IrqLine;
use vmm_core::kvm::{IrqfdLine, Vm};
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::RunError;
use super::error::host;
use super::pci::PciBus;
use super::phases::Phases;
use crate::config::Transport;

/// The event loop: everything on it is shared with other threads.
pub(super) type EventLoop = EventManager<Subscriber>;

/// What devices are attached to: buses, interrupt lines, the event loop.
pub(super) struct Platform {
    pub vm: Vm,
    pub ram: Arc<GuestRam>,
    pub ports: Arc<Bus>,
    pub mmio: Arc<Bus>,
    pub requests: RequestSender,
    pub events: EventLoop,
    pub doorbells: Arc<dyn Doorbells>,
    pub places: Places,
    /// What learns how far the run gets.
    pub phases: Arc<Phases>,
}

/// Where the guest finds its virtio devices.
pub(super) enum Places {
    /// At addresses that ACPI names: the ones so far.
    Mmio(Vec<VirtioMmio>),
    /// In slots.
    Pci(PciBus),
}

/// How many devices have an interrupt line of their own.
const MAX_MMIO: usize = (layout::VIRTIO_GSI_LAST - layout::VIRTIO_GSI_FIRST) as usize + 1;

impl Places {
    /// How many virtio devices `transport` has places for.
    pub(super) fn limit(transport: Transport) -> usize {
        match transport {
            Transport::Mmio => MAX_MMIO,
            Transport::Pci => PciBus::MAX_DEVICES,
        }
    }
}

impl Platform {
    /// An interrupt line that arrives as `gsi`.
    pub(super) fn irq_line(&self, gsi: u32) -> Result<Arc<dyn IrqLine>, RunError> {
        let event = EventFd::new(EFD_NONBLOCK).map_err(host("make an interrupt line"))?;
        self.vm.attach_irq(&event, gsi)?;
        Ok(Arc::new(IrqfdLine::new(event)))
    }

    /// Places `device` at `len` ports from `base`.
    pub(super) fn add_ports(
        &self,
        base: u64,
        len: u64,
        device: impl BusDevice + 'static,
    ) -> Result<(), RunError> {
        Ok(self.ports.insert(window(base, len), Arc::new(Mutex::new(device)))?)
    }

    /// Puts `subscriber` on the event loop.
    pub(super) fn subscribe(&mut self, subscriber: Subscriber) {
        self.events.add_subscriber(subscriber);
    }

    /// Puts `device` where the guest finds it next, and its half on the event
    /// loop.
    pub(super) fn add_virtio(&mut self, device: Box<dyn VirtioDevice>) -> Result<(), RunError> {
        if let Some(subscriber) = device.subscriber() {
            self.subscribe(subscriber);
        }
        let slot = match &self.places {
            Places::Pci(bus) => return bus.add(device, &self.ram, &self.doorbells),
            Places::Mmio(taken) => u32::try_from(taken.len()).expect("limited by MAX_VIRTIO"),
        };
        let gsi = layout::VIRTIO_GSI_FIRST + slot;
        let base = layout::VIRTIO_MMIO + u64::from(slot) * layout::VIRTIO_MMIO_SIZE;
        let transport = Mmio::new(device, Arc::clone(&self.ram), self.irq_line(gsi)?)
            .with_doorbells(Arc::clone(&self.doorbells), base);
        let range = window(base, layout::VIRTIO_MMIO_SIZE);
        self.mmio.insert(range, Arc::new(Mutex::new(transport)))?;
        if let Places::Mmio(taken) = &mut self.places {
            taken.push(VirtioMmio { window: range, gsi });
        }
        Ok(())
    }
}

pub(super) fn window(base: u64, len: u64) -> AddrRange {
    AddrRange::new(base, len).expect("the address map has no empty window")
}
