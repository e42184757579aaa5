use std::sync::Arc;

use vmm_core::bus::{BusDevice, Doorbells};
use vmm_core::irq::IrqLine;
use vmm_core::mem::GuestRam;

use super::{Core, NotifyPlace, QueueSetup, RingPart, half, with_half};
use crate::virtio::{Interrupt, VirtioDevice};

/// Register offsets (VIRTIO 1.2 §4.2.2).
mod reg {
    pub(super) const MAGIC: u64 = 0x00;
    pub(super) const VERSION: u64 = 0x04;
    pub(super) const DEVICE_ID: u64 = 0x08;
    pub(super) const VENDOR_ID: u64 = 0x0c;
    pub(super) const DEVICE_FEATURES: u64 = 0x10;
    pub(super) const DEVICE_FEATURES_SEL: u64 = 0x14;
    pub(super) const DRIVER_FEATURES: u64 = 0x20;
    pub(super) const DRIVER_FEATURES_SEL: u64 = 0x24;
    pub(super) const QUEUE_SEL: u64 = 0x30;
    pub(super) const QUEUE_NUM_MAX: u64 = 0x34;
    pub(super) const QUEUE_NUM: u64 = 0x38;
    pub(super) const QUEUE_READY: u64 = 0x44;
    pub(super) const QUEUE_NOTIFY: u64 = 0x50;
    pub(super) const INTERRUPT_STATUS: u64 = 0x60;
    pub(super) const INTERRUPT_ACK: u64 = 0x64;
    pub(super) const STATUS: u64 = 0x70;
    pub(super) const QUEUE_DESC_LOW: u64 = 0x80;
    pub(super) const QUEUE_DESC_HIGH: u64 = 0x84;
    pub(super) const QUEUE_DRIVER_LOW: u64 = 0x90;
    pub(super) const QUEUE_DRIVER_HIGH: u64 = 0x94;
    pub(super) const QUEUE_DEVICE_LOW: u64 = 0xa0;
    pub(super) const QUEUE_DEVICE_HIGH: u64 = 0xa4;
    pub(super) const QUEUE_RESET: u64 = 0xc0;
    pub(super) const SHM_FIRST: u64 = 0xb0;
    pub(super) const SHM_LAST: u64 = 0xbc;
    pub(super) const CONFIG_GENERATION: u64 = 0xfc;
    pub(super) const CONFIG: u64 = 0x100;
}

const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION: u32 = 2;
const VENDOR: u32 = u32::from_le_bytes(*b"KILN");

/// The registers of a virtio device in a memory window (VIRTIO 1.2 §4.2).
pub struct Mmio {
    core: Core,
    device_features_sel: u32,
    driver_features_sel: u32,
    queue_sel: u32,
}

impl Mmio {
    /// `device` behind registers; it works in `mem` and interrupts by `line`.
    pub fn new(device: Box<dyn VirtioDevice>, mem: Arc<GuestRam>, line: Arc<dyn IrqLine>) -> Self {
        let interrupt = Interrupt::new(device.info().id, line);
        let core = Core::new(device, mem, interrupt);
        Self { core, device_features_sel: 0, driver_features_sel: 0, queue_sel: 0 }
    }

    /// The same in a window at `base`, with doorbells from `host`.
    pub fn with_doorbells(mut self, host: Arc<dyn Doorbells>, base: u64) -> Self {
        self.core.set_doorbells(host);
        self.core.set_notify_place(base.checked_add(reg::QUEUE_NOTIFY).map(NotifyPlace::Register));
        self
    }

    fn read_register(&self, offset: u64) -> u32 {
        let queue = self.core.queue(self.queue_sel);
        match offset {
            reg::MAGIC => MAGIC,
            reg::VERSION => VERSION,
            reg::DEVICE_ID => self.core.info().id,
            reg::VENDOR_ID => VENDOR,
            reg::DEVICE_FEATURES => half(self.core.device_features(), self.device_features_sel),
            reg::QUEUE_NUM_MAX => queue.map_or(0, |q| u32::from(q.max_size())),
            reg::QUEUE_READY => queue.map_or(0, |q| u32::from(q.is_ready())),
            reg::INTERRUPT_STATUS => u32::from(self.core.interrupt().status()),
            reg::STATUS => u32::from(self.core.status()),
            // No shared memory: base and length read as all ones.
            reg::SHM_FIRST..=reg::SHM_LAST => u32::MAX,
            reg::CONFIG_GENERATION => self.core.interrupt().generation(),
            // QUEUE_RESET is among these: a reset is over once it was written.
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32) {
        match offset {
            reg::DEVICE_FEATURES_SEL => self.device_features_sel = value,
            reg::DRIVER_FEATURES => self.accept_features(value),
            reg::DRIVER_FEATURES_SEL => self.driver_features_sel = value,
            reg::QUEUE_SEL => self.queue_sel = value,
            reg::QUEUE_NUM => self.set_up_queue(|q, _| q.set_size(value)),
            reg::QUEUE_READY => self.set_up_queue(|q, mem| q.set_ready(value == 1, mem)),
            reg::QUEUE_NOTIFY => self.core.notify(value),
            reg::INTERRUPT_ACK => self.core.interrupt().acknowledge(value.to_le_bytes()[0]),
            reg::STATUS => self.set_status(value),
            reg::QUEUE_DESC_LOW => self.set_address(RingPart::Desc, 0, value),
            reg::QUEUE_DESC_HIGH => self.set_address(RingPart::Desc, 1, value),
            reg::QUEUE_DRIVER_LOW => self.set_address(RingPart::Driver, 0, value),
            reg::QUEUE_DRIVER_HIGH => self.set_address(RingPart::Driver, 1, value),
            reg::QUEUE_DEVICE_LOW => self.set_address(RingPart::Device, 0, value),
            reg::QUEUE_DEVICE_HIGH => self.set_address(RingPart::Device, 1, value),
            reg::QUEUE_RESET if value == 1 => {
                self.core.reset_queue(self.queue_sel);
            }
            _ => {}
        }
    }

    fn set_status(&mut self, value: u32) {
        let Ok(status) = u8::try_from(value) else { return };
        self.core.set_status(status);
        if status == 0 {
            self.device_features_sel = 0;
            self.driver_features_sel = 0;
            self.queue_sel = 0;
        }
    }

    fn accept_features(&mut self, value: u32) {
        let features = with_half(self.core.driver_features(), self.driver_features_sel, value);
        self.core.set_driver_features(features);
    }

    fn set_up_queue(&mut self, change: impl FnOnce(&mut QueueSetup, &GuestRam)) {
        self.core.set_up_queue(self.queue_sel, change);
    }

    fn set_address(&mut self, part: RingPart, which: u32, value: u32) {
        self.set_up_queue(|q, _| q.set_address(part, with_half(q.address(part), which, value)));
    }
}

impl BusDevice for Mmio {
    /// Control registers take aligned accesses of 4 bytes (§4.2.2.2); others
    /// read as zero. The configuration space takes any.
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        if let Some(at) = config_offset(offset) {
            return self.core.read_config(at, data);
        }
        match <&mut [u8; 4]>::try_from(&mut *data) {
            Ok(word) => *word = self.read_register(offset).to_le_bytes(),
            Err(_) => data.fill(0),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let Some(at) = config_offset(offset) {
            return self.core.write_config(at, data);
        }
        if let Ok(word) = <[u8; 4]>::try_from(data) {
            self.write_register(offset, u32::from_le_bytes(word));
        }
    }
}

fn config_offset(offset: u64) -> Option<usize> {
    offset.checked_sub(reg::CONFIG).and_then(|at| usize::try_from(at).ok())
}
