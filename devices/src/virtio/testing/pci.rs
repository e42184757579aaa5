use std::sync::Arc;

use vmm_core::bus::{BusDevice, Knock};

use super::{Registers, TestDoorbells, TestLine, TestMessages, Wiring};
use crate::pci::Function;
use crate::pci::spec::{command, reg};
use crate::virtio::VirtioDevice;
use crate::virtio::spec::{isr, status};
use crate::virtio::transport::{Pci, RingPart, half};

/// Where the structures' window lies at first.
const BASE: u32 = 0xe000_0000;
/// Where the window of MSI-X lies.
const MESSAGES_BASE: u32 = 0xe010_0000;
/// Where the port lies.
const PORT: u32 = 0xc040;
/// Message control of MSI-X, which is the first capability.
const MESSAGE_CONTROL: u16 = 0x42;

/// Where the parts of the function appear in [`PciBus`].
mod window {
    pub(super) const MESSAGES: u64 = 0x4000;
    pub(super) const CONFIG: u64 = 0x6000;
    pub(super) const PORT: u64 = 0x6100;
    pub(super) const END: u64 = 0x6104;
}

/// The windows and the configuration space of a function, one after another:
/// the structures, MSI-X from 0x4000, configuration space from 0x6000, the port
/// from 0x6100.
pub struct PciBus(pub Pci);

impl PciBus {
    fn get<const N: usize>(&mut self, offset: u64) -> [u8; N] {
        let mut data = [0; N];
        self.read(offset, &mut data);
        data
    }

    /// Writes configuration space.
    pub fn configure(&mut self, offset: u16, data: &[u8]) {
        self.0.write_config(offset, data);
    }
}

/// As the root promises, no access of configuration space leaves its group of
/// four bytes.
fn is_config(offset: u64, len: usize) -> Option<u16> {
    let at = u16::try_from(offset.checked_sub(window::CONFIG)?).ok()?;
    (usize::from(at % 4) + len <= 4).then_some(at)
}

impl BusDevice for PciBus {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        match offset {
            ..window::MESSAGES => self.0.read_bar(0, offset, data),
            window::MESSAGES..window::CONFIG => self.0.read_bar(1, offset - window::MESSAGES, data),
            window::PORT.. => self.0.read_bar(2, offset - window::PORT, data),
            _ => {
                if let Some(at) = is_config(offset, data.len()) {
                    self.0.read_config(at, data);
                }
            }
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        match offset {
            ..window::MESSAGES => self.0.write_bar(0, offset, data),
            window::MESSAGES..window::CONFIG => {
                self.0.write_bar(1, offset - window::MESSAGES, data)
            }
            window::PORT.. => self.0.write_bar(2, offset - window::PORT, data),
            _ => {
                if let Some(at) = is_config(offset, data.len()) {
                    self.0.write_config(at, data);
                }
            }
        }
    }
}

/// A device behind virtio-pci, with a driver that uses MSI-X and the port or, if
/// not `MSIX`, the pin and only memory.
pub struct PciRegisters<const MSIX: bool> {
    /// The device.
    pub bus: PciBus,
    /// What messages it sent; their data is the vector.
    pub messages: TestMessages,
    doorbells: Arc<TestDoorbells>,
}

impl<const MSIX: bool> PciRegisters<MSIX> {
    /// Writes to a field of the common configuration.
    pub fn set(&mut self, offset: u64, data: &[u8]) {
        self.bus.write(offset, data);
    }

    /// The field of 2 bytes at `offset` of the common configuration.
    pub fn get16(&mut self, offset: u64) -> u16 {
        u16::from_le_bytes(self.bus.get(offset))
    }

    fn get32(&mut self, offset: u64) -> u32 {
        u32::from_le_bytes(self.bus.get(offset))
    }

    /// Selects `queue`; false if it cannot be selected.
    fn select(&mut self, queue: u32) -> bool {
        let Ok(queue) = u16::try_from(queue) else { return false };
        self.set(22, &queue.to_le_bytes());
        true
    }

    /// Moves the window of the structures to `base`.
    pub fn move_to(&mut self, base: u32) {
        self.bus.configure(reg::BAR0, &base.to_le_bytes());
    }

    /// Writes an entry of the MSI-X table.
    pub fn set_entry(&mut self, vector: u16, address: u64, masked: bool) {
        let at = window::MESSAGES + u64::from(vector) * 16;
        self.bus.write(at, &address.to_le_bytes());
        self.bus.write(at + 8, &u32::from(vector).to_le_bytes());
        self.bus.write(at + 12, &u32::from(masked).to_le_bytes());
    }

    /// The first 64 pending bits.
    pub fn pending(&mut self) -> u64 {
        u64::from_le_bytes(self.bus.get(window::MESSAGES + 0x1000))
    }

    fn assign(&mut self) {
        self.bus.configure(reg::BAR0, &BASE.to_le_bytes());
        self.bus.configure(reg::BAR0 + 4, &MESSAGES_BASE.to_le_bytes());
        self.bus.configure(reg::BAR0 + 8, &PORT.to_le_bytes());
        let on = command::MEMORY | command::BUS_MASTER | if MSIX { command::IO } else { 0 };
        self.bus.configure(reg::COMMAND, &on.to_le_bytes());
        if MSIX {
            for vector in 0..=self.get16(18) {
                self.set_entry(vector, 0xfee0_0000, false);
            }
            self.bus.configure(MESSAGE_CONTROL, &0x8000_u16.to_le_bytes());
        }
    }
}

impl<const MSIX: bool> Registers for PciRegisters<MSIX> {
    fn connect(device: Box<dyn VirtioDevice>, wiring: &Wiring) -> Self {
        // The line that the test looks at is the pin's, or the messages'.
        let (pin, told) = (Arc::clone(&wiring.line), Arc::new(TestLine::default()));
        let (pin, told) = if MSIX { (told, pin) } else { (pin, told) };
        let messages = TestMessages::new(told);
        let pci = Pci::new(device, Arc::clone(&wiring.mem), pin, &messages);
        let pci = pci.expect("a vector needs nothing");
        let doorbells = Arc::clone(&wiring.doorbells);
        let bus = PciBus(pci.with_doorbells(Arc::clone(&doorbells) as _));
        let mut regs = Self { bus, messages, doorbells };
        regs.assign();
        regs
    }

    fn bus(&mut self) -> (&mut dyn BusDevice, u64) {
        (&mut self.bus, window::END)
    }

    fn offsets() -> Vec<u64> {
        let parts = [0..0x48, 0x1000..0x1008, 0x2000..0x2048, 0x3000..0x3010, 0x3ff8..0x4040];
        let rest = [0x5000..0x5010, window::CONFIG..window::END];
        parts.into_iter().chain(rest).flatten().collect()
    }

    fn device_id(&mut self) -> u32 {
        let mut id = [0; 2];
        self.bus.0.read_config(reg::DEVICE_ID, &mut id);
        u32::from(u16::from_le_bytes(id)) - 0x1040
    }

    fn device_features(&mut self) -> u64 {
        self.set(0, &0_u32.to_le_bytes());
        let low = self.get32(4);
        self.set(0, &1_u32.to_le_bytes());
        u64::from(self.get32(4)) << 32 | u64::from(low)
    }

    fn set_driver_features(&mut self, features: u64) {
        for which in [0_u32, 1] {
            self.set(8, &which.to_le_bytes());
            self.set(12, &half(features, which).to_le_bytes());
        }
    }

    fn status(&mut self) -> u8 {
        self.bus.get::<1>(20)[0]
    }

    fn set_status(&mut self, status: u8) {
        if MSIX && status & status::DRIVER_OK != 0 {
            self.set(16, &0_u16.to_le_bytes());
        }
        self.set(20, &[status]);
        if status == 0 {
            // Messages from before a reset say nothing of what comes after.
            self.messages.take();
        }
    }

    fn queue_max(&mut self, queue: u32) -> u32 {
        if self.select(queue) { self.get16(24).into() } else { 0 }
    }

    fn set_queue_size(&mut self, queue: u32, size: u32) {
        if let Ok(size) = u16::try_from(size)
            && self.select(queue)
        {
            self.set(24, &size.to_le_bytes());
        }
    }

    fn set_queue_part(&mut self, queue: u32, part: RingPart, addr: u64) {
        let offset = match part {
            RingPart::Desc => 32,
            RingPart::Driver => 40,
            RingPart::Device => 48,
        };
        if self.select(queue) {
            self.set(offset, &half(addr, 0).to_le_bytes());
            self.set(offset + 4, &half(addr, 1).to_le_bytes());
        }
    }

    fn set_queue_ready(&mut self, queue: u32, ready: bool) {
        if !self.select(queue) {
            return;
        }
        if MSIX && ready {
            let vector = u16::try_from(queue).expect("it could be selected").wrapping_add(1);
            self.set(26, &vector.to_le_bytes());
        }
        self.set(28, &u16::from(ready).to_le_bytes());
    }

    fn is_queue_ready(&mut self, queue: u32) -> bool {
        self.select(queue) && self.get16(28) == 1
    }

    fn reset_queue(&mut self, queue: u32) {
        if self.select(queue) {
            self.set(58, &1_u16.to_le_bytes());
            assert_eq!(self.get16(58), 0, "a reset is over at once");
        }
    }

    fn doorbell(&self, queue: u32) -> Knock {
        let base = |bar: usize| Some(self.bus.0.windows()[bar]?.range.base());
        match (base(2), u16::try_from(queue)) {
            (Some(port), Ok(queue)) => Knock::Port(u16::try_from(port).expect("16 bits"), queue),
            _ => Knock::Memory(base(0).unwrap_or(0) + 0x3000 + 4 * u64::from(queue)),
        }
    }

    fn notify(&mut self, queue: u32) {
        let knock = self.doorbell(queue);
        if self.doorbells.ring(knock) {
            return;
        }
        match knock {
            Knock::Port(_, queue) => self.bus.write(window::PORT, &queue.to_le_bytes()),
            _ if queue < 1024 => self.bus.write(0x3000 + 4 * u64::from(queue), &[0, 0]),
            _ => {}
        }
    }

    fn take_interrupts(&mut self) -> u8 {
        let told = self.bus.get::<1>(0x1000)[0];
        if !MSIX {
            return told;
        }
        assert_eq!(told, 0, "with messages, nothing is told by the status");
        let bit = |vector| if vector == 0 { isr::CONFIG } else { isr::QUEUE };
        self.messages.take().into_iter().fold(0, |bits, vector| bits | bit(vector))
    }

    fn read_config(&mut self, offset: u64, data: &mut [u8]) {
        self.bus.read(0x2000 + offset, data);
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        self.bus.write(0x2000 + offset, data);
    }
}
