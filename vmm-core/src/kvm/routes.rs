use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting, kvm_irq_routing_entry,
    kvm_irq_routing_entry__bindgen_ty_1 as Target, kvm_irq_routing_irqchip, kvm_irq_routing_msi,
};
use kvm_ioctls::Cap;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::vm::Handle;
use crate::irq::{MsiMessage, MsiSink, MsiVector};

/// Inputs of the I/O APIC; the first 16 also lead to the two PICs of 8 pins
/// each. The interrupts after them are free for messages.
const IO_APIC_PINS: u32 = 24;
const PIC_PINS: u32 = 8;

/// A [`MsiSink`] over KVM's interrupt routing: each vector in use is an
/// eventfd (irqfd) with a route of its own to a message.
///
/// Every change of a route hands KVM the whole table, which is why nothing is
/// said before a guest unmasks a vector.
pub struct MsiRoutes(Arc<Routes>);

struct Routes {
    vm: Arc<Handle>,
    /// KVM's interrupt numbers end before this one.
    limit: u32,
    /// The messages, by interrupt number less [`IO_APIC_PINS`].
    messages: Mutex<Vec<Option<MsiMessage>>>,
}

impl MsiRoutes {
    pub(super) fn new(vm: Arc<Handle>) -> Self {
        let limit = vm.fd.check_extension_int(Cap::IrqRouting);
        Self::with_limit(vm, u32::try_from(limit).unwrap_or(0))
    }

    /// For interrupt numbers below `limit`.
    pub(super) fn with_limit(vm: Arc<Handle>, limit: u32) -> Self {
        Self(Arc::new(Routes { vm, limit, messages: Mutex::default() }))
    }
}

impl MsiSink for MsiRoutes {
    fn vector(&self) -> io::Result<Box<dyn MsiVector>> {
        Ok(Box::new(Vector {
            routes: Arc::clone(&self.0),
            event: OnceLock::new(),
            route: Mutex::new(None),
            attached: Mutex::default(),
        }))
    }
}

/// A message and the interrupt number that leads to it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Route {
    gsi: u32,
    message: MsiMessage,
}

struct Vector {
    routes: Arc<Routes>,
    /// Made with the first route.
    event: OnceLock<EventFd>,
    /// While there is one, KVM listens to `event`.
    route: Mutex<Option<Route>>,
    /// Events of others that KVM listens to as well. Locked after `route`.
    attached: Mutex<Vec<Arc<EventFd>>>,
}

impl MsiVector for Vector {
    fn route(&self, message: Option<MsiMessage>) -> io::Result<()> {
        let mut route = lock(&self.route);
        match (*route, message) {
            (None, None) => {}
            (Some(old), Some(message)) if old.message == message => {}
            (Some(old), Some(message)) => {
                if let Err(error) = self.routes.change(old.gsi, message) {
                    *route = None;
                    self.disconnect(old.gsi);
                    return Err(error);
                }
                *route = Some(Route { message, ..old });
            }
            (None, Some(message)) => *route = Some(self.connect(message)?),
            (Some(old), None) => {
                *route = None;
                self.disconnect(old.gsi);
            }
        }
        Ok(())
    }

    fn signal(&self) {
        if let Some(event) = self.event.get() {
            // Fails only when the counter is full: KVM then did not take what
            // came before, and this is one with that.
            let _ = event.write(1);
        }
    }

    fn attach(&self, event: &Arc<EventFd>) -> io::Result<()> {
        let route = lock(&self.route);
        let gsi = route.as_ref().ok_or(io::ErrorKind::NotConnected)?.gsi;
        self.routes.vm.fd.register_irqfd(event, gsi)?;
        lock(&self.attached).push(Arc::clone(event));
        Ok(())
    }

    fn detach(&self, event: &EventFd) {
        let route = lock(&self.route);
        let mut attached = lock(&self.attached);
        let same = |other: &Arc<EventFd>| other.as_raw_fd() == event.as_raw_fd();
        if let (Some(route), Some(at)) = (*route, attached.iter().position(same)) {
            self.release(&attached.swap_remove(at), route.gsi);
        }
    }
}

impl Vector {
    /// A route to `message` that [`MsiVector::signal`] uses.
    fn connect(&self, message: MsiMessage) -> io::Result<Route> {
        let event = match self.event.get() {
            Some(event) => event,
            None => {
                let new = EventFd::new(EFD_NONBLOCK)?;
                self.event.get_or_init(|| new)
            }
        };
        // What was signalled while nobody listened is not to be sent now.
        // Fails if that is nothing.
        let _ = event.read();
        let gsi = self.routes.add(message)?;
        if let Err(error) = self.routes.vm.fd.register_irqfd(event, gsi) {
            self.routes.remove(gsi);
            return Err(error.into());
        }
        Ok(Route { gsi, message })
    }

    /// Gives the route of `gsi` back. Before, nobody may lead to it any more.
    fn disconnect(&self, gsi: u32) {
        for event in lock(&self.attached).drain(..) {
            self.release(&event, gsi);
        }
        if let Some(event) = self.event.get() {
            self.release(event, gsi);
        }
        self.routes.remove(gsi);
    }

    fn release(&self, event: &EventFd, gsi: u32) {
        if let Err(error) = self.routes.vm.fd.unregister_irqfd(event, gsi) {
            log::debug!("KVM refuses to detach interrupt {gsi}: {error}");
        }
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        // Cannot fail: it only takes a route away.
        let _ = self.route(None);
    }
}

impl Routes {
    /// Routes a free interrupt number to `message`; returns the number.
    fn add(&self, message: MsiMessage) -> io::Result<u32> {
        let mut messages = lock(&self.messages);
        let index = messages.iter().position(Option::is_none).unwrap_or(messages.len());
        let gsi = gsi(index);
        if gsi >= self.limit {
            return Err(io::Error::other("KVM has no more interrupt routes"));
        }
        if index == messages.len() {
            messages.push(None);
        }
        self.set(&mut messages, index, message)?;
        Ok(gsi)
    }

    /// Routes `gsi` to another message. If KVM refuses, the old one stays.
    fn change(&self, gsi: u32, message: MsiMessage) -> io::Result<()> {
        self.set(&mut lock(&self.messages), index(gsi), message)
    }

    fn set(
        &self,
        messages: &mut [Option<MsiMessage>],
        index: usize,
        message: MsiMessage,
    ) -> io::Result<()> {
        let old = messages[index].replace(message);
        let told = self.tell(messages);
        if told.is_err() {
            messages[index] = old;
        }
        told
    }

    /// Frees `gsi`. KVM hears of it with the next route: until then nobody
    /// signals it.
    fn remove(&self, gsi: u32) {
        lock(&self.messages)[index(gsi)] = None;
    }

    fn tell(&self, messages: &[Option<MsiMessage>]) -> io::Result<()> {
        let mut entries = pins();
        entries.extend(
            messages.iter().enumerate().filter_map(|(i, m)| m.map(|m| message_entry(gsi(i), m))),
        );
        let table = KvmIrqRouting::from_entries(&entries)
            .map_err(|_| io::Error::other("KVM has no more interrupt routes"))?;
        Ok(self.vm.fd.set_gsi_routing(&table)?)
    }
}

/// The routes of the interrupt chip's pins, as KVM has them at first.
fn pins() -> Vec<kvm_irq_routing_entry> {
    let pin = |gsi, irqchip, pin| kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_IRQCHIP,
        u: Target { irqchip: kvm_irq_routing_irqchip { irqchip, pin } },
        ..Default::default()
    };
    let io_apic = (0..IO_APIC_PINS).map(|gsi| pin(gsi, KVM_IRQCHIP_IOAPIC, gsi));
    let master = (0..PIC_PINS).map(|gsi| pin(gsi, KVM_IRQCHIP_PIC_MASTER, gsi));
    let slave = (0..PIC_PINS).map(|p| pin(PIC_PINS + p, KVM_IRQCHIP_PIC_SLAVE, p));
    io_apic.chain(master).chain(slave).collect()
}

fn message_entry(gsi: u32, message: MsiMessage) -> kvm_irq_routing_entry {
    let [a, b, c, d, e, f, g, h] = message.address.to_le_bytes();
    let msi = kvm_irq_routing_msi {
        address_lo: u32::from_le_bytes([a, b, c, d]),
        address_hi: u32::from_le_bytes([e, f, g, h]),
        data: message.data,
        ..Default::default()
    };
    kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        u: Target { msi },
        ..Default::default()
    }
}

fn gsi(index: usize) -> u32 {
    IO_APIC_PINS + u32::try_from(index).expect("bounded by KVM's routes")
}

fn index(gsi: u32) -> usize {
    usize::try_from(gsi - IO_APIC_PINS).expect("an index before")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
