use std::sync::Arc;

use vmm_core::irq::IrqLine;
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::EventFd;

use super::QueueSetup;
use crate::virtio::spec::{feature, status};
use crate::virtio::{DeviceInfo, DeviceIo, Interrupt, VirtioDevice};

/// The rules that every transport shares: device status, feature
/// negotiation, queue setup and reset (VIRTIO 1.2 §2, §3).
pub struct Core {
    device: Box<dyn VirtioDevice>,
    mem: Arc<GuestRam>,
    interrupt: Arc<Interrupt>,
    status: u8,
    driver_features: u64,
    queues: Vec<QueueSetup>,
}

impl Core {
    /// A device as after a reset.
    pub fn new(device: Box<dyn VirtioDevice>, mem: Arc<GuestRam>, line: Arc<dyn IrqLine>) -> Self {
        let queues = device.info().queue_sizes.iter().map(|max| QueueSetup::new(*max)).collect();
        let interrupt = Arc::new(Interrupt::new(device.info().id, line));
        Self { device, mem, interrupt, status: 0, driver_features: 0, queues }
    }

    /// The device's identity and limits.
    pub fn info(&self) -> &DeviceInfo {
        self.device.info()
    }

    /// What the device raises.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// One eventfd for each queue.
    pub fn doorbells(&self) -> &[EventFd] {
        self.device.doorbells()
    }

    /// The features on offer.
    pub fn device_features(&self) -> u64 {
        self.device.info().features | feature::COMMON
    }

    /// The features that the driver accepted so far.
    pub fn driver_features(&self) -> u64 {
        self.driver_features
    }

    /// Notes what the driver accepts; ignored after FEATURES_OK.
    pub fn set_driver_features(&mut self, features: u64) {
        if self.status & status::FEATURES_OK == 0 {
            self.driver_features = features;
        }
    }

    /// The device status field.
    pub fn status(&self) -> u8 {
        let asks = self.interrupt.is_reset_needed();
        self.status | if asks { status::NEEDS_RESET } else { 0 }
    }

    /// Takes the driver's new status: 0 resets, other bits are only ever
    /// added, and FEATURES_OK and DRIVER_OK only when their turn has come.
    pub fn set_status(&mut self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        let added = value & !self.status;
        self.status |= added & (status::ACKNOWLEDGE | status::DRIVER | status::FAILED);
        if added & status::FEATURES_OK != 0 && self.are_features_right() {
            self.status |= status::FEATURES_OK;
        }
        if added & status::DRIVER_OK != 0 && self.status & status::FEATURES_OK != 0 {
            self.status |= status::DRIVER_OK;
            self.start();
        }
    }

    fn are_features_right(&self) -> bool {
        let unknown = self.driver_features & !self.device_features();
        unknown == 0
            && self.driver_features & feature::VERSION_1 != 0
            && self.status & status::DRIVER != 0
    }

    fn start(&mut self) {
        let event_idx = self.driver_features & feature::EVENT_IDX != 0;
        let io = DeviceIo {
            mem: Arc::clone(&self.mem),
            features: self.driver_features,
            queues: self.queues.iter().map(|q| q.queue(event_idx)).collect(),
            interrupt: Arc::clone(&self.interrupt),
        };
        if let Err(error) = self.device.start(io) {
            self.interrupt.needs_reset(&error);
        }
    }

    /// Stops the device and forgets all that the driver set.
    pub fn reset(&mut self) {
        self.device.stop();
        self.interrupt.reset();
        self.status = 0;
        self.driver_features = 0;
        for queue in &mut self.queues {
            *queue = QueueSetup::new(queue.max_size());
        }
    }

    /// The registers of queue `index`.
    pub fn queue(&self, index: u32) -> Option<&QueueSetup> {
        self.queues.get(usize::try_from(index).ok()?)
    }

    /// Changes the registers of queue `index`, unless there is no such queue
    /// or the driver is live: then they are frozen.
    pub fn set_up_queue(&mut self, index: u32, change: impl FnOnce(&mut QueueSetup, &GuestRam)) {
        if self.status & status::DRIVER_OK != 0 {
            return;
        }
        let queue = usize::try_from(index).ok().and_then(|i| self.queues.get_mut(i));
        if let Some(queue) = queue {
            change(queue, &self.mem);
        }
    }

    /// The driver made buffers of queue `index` available, and no ioeventfd
    /// caught it.
    pub fn notify(&self, index: u32) {
        let doorbell = usize::try_from(index).ok().and_then(|i| self.doorbells().get(i));
        if let Some(doorbell) = doorbell {
            // Fails only when the counter is full, and then it rings anyway.
            let _ = doorbell.write(1);
        }
    }

    /// Fills `data` from the configuration space.
    pub fn read_config(&self, offset: usize, data: &mut [u8]) {
        self.device.read_config(offset, data);
    }

    /// Applies `data` to the configuration space.
    pub fn write_config(&mut self, offset: usize, data: &[u8]) {
        self.device.write_config(offset, data);
    }
}

impl Drop for Core {
    /// The loop outlives the transport: it must not touch the guest's memory
    /// for a device that is gone.
    fn drop(&mut self) {
        self.device.stop();
    }
}
