use std::sync::Arc;

use vmm_core::bus::{BusDevice, Knock};

use super::{TestDoorbells, Wiring};
use crate::virtio::VirtioDevice;
use crate::virtio::transport::{Mmio, RingPart, half};

/// What a driver does to a device, whatever the transport.
pub trait Registers {
    /// `device` behind this transport.
    fn connect(device: Box<dyn VirtioDevice>, wiring: &Wiring) -> Self;
    /// The registers as the bus sees them, and the length of their window.
    fn bus(&mut self) -> (&mut dyn BusDevice, u64);
    /// Those of its offsets where there is something.
    fn offsets() -> Vec<u64>;
    /// The device's virtio id.
    fn device_id(&mut self) -> u32;
    /// All 64 bits on offer.
    fn device_features(&mut self) -> u64;
    /// Accepts `features`.
    fn set_driver_features(&mut self, features: u64);
    /// The device status.
    fn status(&mut self) -> u8;
    /// Writes the device status.
    fn set_status(&mut self, status: u8);
    /// The largest size of `queue`; 0 if there is none.
    fn queue_max(&mut self, queue: u32) -> u32;
    /// Writes the size of `queue`.
    fn set_queue_size(&mut self, queue: u32, size: u32);
    /// Writes the address of a part of `queue`.
    fn set_queue_part(&mut self, queue: u32, part: RingPart, addr: u64);
    /// Makes `queue` ready, or not.
    fn set_queue_ready(&mut self, queue: u32, ready: bool);
    /// Whether `queue` is ready.
    fn is_queue_ready(&mut self, queue: u32) -> bool;
    /// Resets `queue` alone.
    fn reset_queue(&mut self, queue: u32);
    /// A notification of `queue`.
    fn doorbell(&self, queue: u32) -> Knock;
    /// Notifies `queue`, through a doorbell if one hangs there.
    fn notify(&mut self, queue: u32);
    /// Reads the interrupt status and acknowledges all of it.
    fn take_interrupts(&mut self) -> u8;
    /// Reads the configuration space.
    fn read_config(&mut self, offset: u64, data: &mut [u8]);
    /// Writes the configuration space.
    fn write_config(&mut self, offset: u64, data: &[u8]);
}

/// A device behind virtio-mmio.
pub struct MmioRegisters {
    /// The device.
    pub mmio: Mmio,
    doorbells: Arc<TestDoorbells>,
}

/// Where the window lies.
const BASE: u64 = 0xd000_0000;

impl MmioRegisters {
    fn get(&mut self, offset: u64) -> u32 {
        let mut word = [0; 4];
        self.mmio.read(offset, &mut word);
        u32::from_le_bytes(word)
    }

    fn set(&mut self, offset: u64, value: u32) {
        self.mmio.write(offset, &value.to_le_bytes());
    }

    fn set_selected(&mut self, queue: u32, offset: u64, value: u32) {
        self.set(0x30, queue);
        self.set(offset, value);
    }
}

impl Registers for MmioRegisters {
    fn connect(device: Box<dyn VirtioDevice>, wiring: &Wiring) -> Self {
        let (mem, line) = (Arc::clone(&wiring.mem), Arc::clone(&wiring.line));
        let doorbells = Arc::clone(&wiring.doorbells);
        let mmio = Mmio::new(device, mem, line).with_doorbells(Arc::clone(&doorbells) as _, BASE);
        Self { mmio, doorbells }
    }

    fn bus(&mut self) -> (&mut dyn BusDevice, u64) {
        (&mut self.mmio, 0x1000)
    }

    fn offsets() -> Vec<u64> {
        (0..0x200).collect()
    }

    fn device_id(&mut self) -> u32 {
        self.get(0x08)
    }

    fn device_features(&mut self) -> u64 {
        self.set(0x14, 0);
        let low = self.get(0x10);
        self.set(0x14, 1);
        u64::from(self.get(0x10)) << 32 | u64::from(low)
    }

    fn set_driver_features(&mut self, features: u64) {
        for which in [0, 1] {
            self.set(0x24, which);
            self.set(0x20, half(features, which));
        }
    }

    fn status(&mut self) -> u8 {
        self.get(0x70).to_le_bytes()[0]
    }

    fn set_status(&mut self, status: u8) {
        self.set(0x70, u32::from(status));
    }

    fn queue_max(&mut self, queue: u32) -> u32 {
        self.set(0x30, queue);
        self.get(0x34)
    }

    fn set_queue_size(&mut self, queue: u32, size: u32) {
        self.set_selected(queue, 0x38, size);
    }

    fn set_queue_part(&mut self, queue: u32, part: RingPart, addr: u64) {
        let offset = match part {
            RingPart::Desc => 0x80,
            RingPart::Driver => 0x90,
            RingPart::Device => 0xa0,
        };
        self.set_selected(queue, offset, half(addr, 0));
        self.set_selected(queue, offset + 4, half(addr, 1));
    }

    fn set_queue_ready(&mut self, queue: u32, ready: bool) {
        self.set_selected(queue, 0x44, u32::from(ready));
    }

    fn is_queue_ready(&mut self, queue: u32) -> bool {
        self.set(0x30, queue);
        self.get(0x44) == 1
    }

    fn reset_queue(&mut self, queue: u32) {
        self.set_selected(queue, 0xc0, 1);
        assert_eq!(self.get(0xc0), 0, "a reset is over at once");
    }

    fn doorbell(&self, queue: u32) -> Knock {
        Knock::Word(BASE + 0x50, queue)
    }

    fn notify(&mut self, queue: u32) {
        if !self.doorbells.ring(self.doorbell(queue)) {
            self.set(0x50, queue);
        }
    }

    fn take_interrupts(&mut self) -> u8 {
        let status = self.get(0x60);
        self.set(0x64, status);
        status.to_le_bytes()[0]
    }

    fn read_config(&mut self, offset: u64, data: &mut [u8]) {
        self.mmio.read(0x100 + offset, data);
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        self.mmio.write(0x100 + offset, data);
    }
}
