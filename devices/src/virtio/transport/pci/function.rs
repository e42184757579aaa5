use std::io;
use std::sync::Arc;

use vmm_core::bus::Doorbells;
use vmm_core::irq::{IrqLine, MsiSink};
use vmm_core::mem::GuestRam;

use super::CommonState;
use super::capabilities::{self, Access, Target};
use super::common::Common;
use super::layout::{self, MESSAGES, PORT, PORT_SIZE, Place, STRUCTURES, STRUCTURES_SIZE};
use super::vectors::Vectors;
use crate::pci::spec::{class, command};
use crate::pci::{BAR_COUNT, Bar, ConfigSpace, Function, Identity, Intx, MsixTable, Space, Window};
use crate::virtio::transport::{Core, NotifyPlace};
use crate::virtio::{DeviceInfo, Interrupt, Messages, VirtioDevice, spec};

/// Vendor id of all virtio devices (VIRTIO 1.2 §4.1.2).
const VENDOR: u16 = 0x1af4;
/// A device's id is this plus its virtio id.
const DEVICE_FIRST: u16 = 0x1040;
/// Of devices that are not transitional: 1 or more (§4.1.2.1).
const REVISION: u8 = 1;

/// A virtio device as a PCI function: a message for each queue and one for
/// the configuration, an INTA# for drivers without MSI-X.
pub struct Pci {
    core: Core,
    common: CommonState,
    vectors: Arc<Vectors>,
    intx: Arc<Intx>,
    config: ConfigSpace,
    access: Access,
    /// Where message control of MSI-X lies in `config`.
    message_control: u16,
    /// Size of each window, in bytes; 0 where there is none.
    sizes: [u64; BAR_COUNT],
    /// Where the driver last notified us ourselves.
    knocks_at: Space,
}

impl Pci {
    /// `device` as a function that works in `mem` and interrupts through
    /// `sink` or by `line`. Its windows are not assigned.
    ///
    /// # Errors
    /// If `sink` has no more vectors.
    ///
    /// # Panics
    /// If the device has more than 1024 queues: one that is made so is a bug.
    pub fn new(
        device: Box<dyn VirtioDevice>,
        mem: Arc<GuestRam>,
        line: Arc<dyn IrqLine>,
        sink: &dyn MsiSink,
    ) -> io::Result<Self> {
        let info = device.info().clone();
        let queues = u16::try_from(info.queue_sizes.len()).unwrap_or(u16::MAX);
        assert!(queues <= layout::MAX_QUEUES, "{queues} queues do not fit");
        let table = MsixTable::new(queues + 1, sink)?;
        let (messages_bar, place) = layout::messages(&table);

        let mut config = ConfigSpace::new(identity(&info));
        config.add_bar(STRUCTURES.into(), Bar::memory32(STRUCTURES_SIZE));
        config.add_bar(MESSAGES.into(), messages_bar);
        config.add_bar(PORT.into(), Bar::io(PORT_SIZE));
        let message_control = config.add_capability(&table.capability(place)) + 2;
        let access = capabilities::add(&mut config, queues);
        let mut sizes = [0; BAR_COUNT];
        sizes[usize::from(STRUCTURES)] = STRUCTURES_SIZE;
        sizes[usize::from(MESSAGES)] = messages_bar.size;
        sizes[usize::from(PORT)] = PORT_SIZE;

        let vectors = Arc::new(Vectors::new(table, queues));
        let intx = Arc::new(Intx::new(line));
        let interrupt = Interrupt::new(info.id, Arc::clone(&intx) as Arc<dyn IrqLine>)
            .with_messages(Arc::clone(&vectors) as Arc<dyn Messages>);
        let core = Core::new(device, mem, interrupt);
        let common = CommonState::default();
        let knocks_at = Space::Io;
        Ok(Self { core, common, vectors, intx, config, access, message_control, sizes, knocks_at })
    }

    /// The same with doorbells from `host`.
    pub fn with_doorbells(mut self, host: Arc<dyn Doorbells>) -> Self {
        self.core.set_doorbells(host);
        self
    }

    /// Acts on what may have changed in configuration space. What did not
    /// change costs nothing.
    fn follow_config(&mut self) {
        self.vectors.table.set_control(self.config.read16(self.message_control));
        let disabled = self.config.command() & command::INTX_DISABLE != 0;
        self.intx.set_disabled(disabled || self.vectors.table.is_enabled());
        self.core.set_notify_place(self.notify_place());
    }

    /// Where doorbells hang. Those of both places would cost the host twice as
    /// much; a driver takes one.
    fn notify_place(&self) -> Option<NotifyPlace> {
        let windows = self.config.windows();
        let base = |bar: u8| windows[usize::from(bar)].map(|window| window.range.base());
        let port = base(PORT).and_then(|base| base.try_into().ok()).map(NotifyPlace::Port);
        match self.knocks_at {
            Space::Io if port.is_some() => port,
            _ => base(STRUCTURES).map(layout::notify_place),
        }
    }

    /// A notification that no doorbell heard. If the driver prefers the place
    /// without doorbells, they move there.
    fn knocked(&mut self, space: Space, queue: u32) {
        if self.knocks_at != space {
            self.knocks_at = space;
            self.core.set_notify_place(self.notify_place());
        }
        self.core.notify(queue);
    }

    /// Whether an access of the PCI configuration access capability lies in
    /// a window.
    fn is_inside(&self, target: &Target) -> bool {
        let len = u64::try_from(target.len).expect("at most 4");
        let size = self.sizes.get(target.bar).copied().unwrap_or(0);
        target.offset + len <= size
    }

    fn target(&self, offset: u16, len: usize) -> Option<Target> {
        self.access.target(&self.config, offset, len).filter(|target| self.is_inside(target))
    }

    fn common(&mut self) -> Common<'_> {
        Common { core: &mut self.core, state: &mut self.common, vectors: &self.vectors }
    }

    fn read_structure(&mut self, offset: u64, data: &mut [u8]) {
        match Place::of(offset) {
            Place::Common(at) => self.common().read(at, data),
            Place::Device(at) => self.core.read_config(config_offset(at), data),
            place => {
                data.fill(0);
                if place == Place::Isr(0) {
                    data[0] = self.core.interrupt().take_status();
                }
            }
        }
    }

    fn write_structure(&mut self, offset: u64, data: &[u8]) {
        match Place::of(offset) {
            Place::Common(at) => self.common().write(at, data),
            Place::Device(at) => self.core.write_config(config_offset(at), data),
            Place::Isr(_) => {}
            Place::Notify(at) => {
                let index = at / u64::from(layout::NOTIFY_STRIDE);
                self.knocked(Space::Memory, u32::try_from(index).expect("at most 1023"));
            }
        }
    }
}

impl Function for Pci {
    fn read_config(&mut self, offset: u16, data: &mut [u8]) {
        if let Some(target) = self.target(offset, data.len()) {
            let mut word = [0; 4];
            self.read_bar(target.bar, target.offset, &mut word[..target.len]);
            self.config.set(self.access.data(), &word[..target.len]);
        }
        self.config.set_interrupt_status(self.intx.is_asserted());
        self.config.read(offset, data);
    }

    fn write_config(&mut self, offset: u16, data: &[u8]) {
        self.config.write(offset, data);
        if let Some(target) = self.target(offset, data.len()) {
            let mut word = [0; 4];
            self.config.read(self.access.data(), &mut word);
            self.write_bar(target.bar, target.offset, &word[..target.len]);
        }
        self.follow_config();
    }

    fn windows(&self) -> [Option<Window>; BAR_COUNT] {
        self.config.windows()
    }

    fn read_bar(&mut self, bar: usize, offset: u64, data: &mut [u8]) {
        if bar == usize::from(STRUCTURES) {
            return self.read_structure(offset, data);
        }
        if bar == usize::from(PORT) {
            return data.fill(0);
        }
        let table = &self.vectors.table;
        match offset.checked_sub(layout::pba_offset(table)) {
            Some(at) => table.read_pba(at, data),
            None => table.read_table(offset, data),
        }
    }

    fn write_bar(&mut self, bar: usize, offset: u64, data: &[u8]) {
        if bar == usize::from(STRUCTURES) {
            return self.write_structure(offset, data);
        }
        if bar == usize::from(PORT) {
            if let (0, &[low, high]) = (offset, data) {
                self.knocked(Space::Io, u16::from_le_bytes([low, high]).into());
            }
            return;
        }
        // The pending bits are read only, and lie past the table's end.
        self.vectors.table.write_table(offset, data);
    }
}

/// Ids and class; the subsystem's are for drivers that ask (§4.1.2.1).
fn identity(info: &DeviceInfo) -> Identity {
    let id = u16::try_from(info.id).ok().and_then(|id| DEVICE_FIRST.checked_add(id));
    let device = id.expect("virtio ids are small numbers");
    let class = match info.id {
        spec::ID_NET => class::ETHERNET,
        spec::ID_BLOCK => class::STORAGE_OTHER,
        _ => class::UNASSIGNED,
    };
    Identity {
        vendor: VENDOR,
        device,
        revision: REVISION,
        class,
        subsystem_vendor: VENDOR,
        subsystem: device,
        has_pin: true,
    }
}

fn config_offset(offset: u64) -> usize {
    usize::try_from(offset).expect("below 4096")
}
