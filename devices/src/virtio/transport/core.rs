use std::sync::Arc;

use vmm_core::bus::Doorbells;
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::EventFd;

use super::bells::{Bells, NotifyPlace};
use super::{CoreState, QueueSetup};
use crate::virtio::spec::{feature, status};
use crate::virtio::{DeviceInfo, DeviceIo, Interrupt, VirtioDevice};

/// The rules that every transport shares: device status, feature
/// negotiation, queue setup and reset (VIRTIO 1.2 §2, §3).
pub struct Core {
    device: Box<dyn VirtioDevice>,
    mem: Arc<GuestRam>,
    interrupt: Arc<Interrupt>,
    bells: Bells,
    state: CoreState,
}

impl Core {
    /// A device as after a reset, which works in `mem` and speaks through
    /// `interrupt`.
    pub fn new(device: Box<dyn VirtioDevice>, mem: Arc<GuestRam>, interrupt: Interrupt) -> Self {
        let sizes = &device.info().queue_sizes;
        let (state, bells) = (CoreState::new(sizes), Bells::new(sizes.len()));
        Self { device, mem, interrupt: Arc::new(interrupt), bells, state }
    }

    /// Has `host` catch the driver's notifications while queues run.
    pub fn set_doorbells(&mut self, host: Arc<dyn Doorbells>) {
        self.bells.set_host(host);
    }

    /// Says where the driver notifies; `None` if it cannot. Doorbells of
    /// running queues move along.
    pub fn set_notify_place(&mut self, place: Option<NotifyPlace>) {
        if self.bells.set_place(place) {
            for index in 0..self.state.queues.len() {
                self.hang(index);
            }
        }
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

    /// How many queues there are; PCI has 16 bits for it.
    pub fn queue_count(&self) -> u16 {
        u16::try_from(self.state.queues.len()).unwrap_or(u16::MAX)
    }

    /// The features on offer.
    pub fn device_features(&self) -> u64 {
        self.device.info().features | feature::COMMON
    }

    /// The features that the driver accepted so far.
    pub fn driver_features(&self) -> u64 {
        self.state.driver_features
    }

    /// Notes what the driver accepts; ignored after FEATURES_OK.
    pub fn set_driver_features(&mut self, features: u64) {
        if self.state.status & status::FEATURES_OK == 0 {
            self.state.driver_features = features;
        }
    }

    /// The device status field.
    pub fn status(&self) -> u8 {
        let asks = self.interrupt.is_reset_needed();
        self.state.status | if asks { status::NEEDS_RESET } else { 0 }
    }

    /// Takes the driver's new status: 0 resets, other bits are only ever
    /// added, and FEATURES_OK and DRIVER_OK only when their turn has come.
    pub fn set_status(&mut self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        let added = value & !self.state.status;
        self.state.status |= added & (status::ACKNOWLEDGE | status::DRIVER | status::FAILED);
        if added & status::FEATURES_OK != 0 && self.are_features_right() {
            self.state.status |= status::FEATURES_OK;
        }
        if added & status::DRIVER_OK != 0 && self.state.status & status::FEATURES_OK != 0 {
            self.state.status |= status::DRIVER_OK;
            self.start();
        }
    }

    fn are_features_right(&self) -> bool {
        let unknown = self.state.driver_features & !self.device_features();
        unknown == 0
            && self.state.driver_features & feature::VERSION_1 != 0
            && self.state.status & status::DRIVER != 0
    }

    fn is_live(&self) -> bool {
        self.state.status & status::DRIVER_OK != 0
    }

    /// Whether driver and device agreed on `feature`.
    fn has(&self, feature: u64) -> bool {
        self.state.status & status::FEATURES_OK != 0 && self.state.driver_features & feature != 0
    }

    fn start(&mut self) {
        let event_idx = self.has(feature::EVENT_IDX);
        let io = DeviceIo {
            mem: Arc::clone(&self.mem),
            features: self.state.driver_features,
            queues: self.state.queues.iter().map(|q| q.queue(event_idx)).collect(),
            interrupt: Arc::clone(&self.interrupt),
        };
        if let Err(error) = self.device.start(io) {
            return self.interrupt.needs_reset(&error);
        }
        for index in 0..self.state.queues.len() {
            self.hang(index);
        }
    }

    /// Hangs the doorbell of queue `index` if the queue runs.
    fn hang(&mut self, index: usize) {
        if self.is_live() && self.state.queues[index].is_ready() {
            self.bells.attach(index, &self.device.doorbells()[index]);
        }
    }

    /// Stops the device and forgets all that the driver set.
    pub fn reset(&mut self) {
        self.stop();
        self.interrupt.reset();
        self.state.reset();
    }

    /// The loop outlives the transport: it must not touch the guest's memory
    /// for a device that is gone, nor the host catch what is for another.
    fn stop(&mut self) {
        self.bells.detach_all(self.device.doorbells());
        self.device.stop();
    }

    /// The registers of queue `index`.
    pub fn queue(&self, index: u32) -> Option<&QueueSetup> {
        self.state.queues.get(usize::try_from(index).ok()?)
    }

    /// Changes the registers of queue `index`, unless there is no such queue
    /// or the driver is live: then they are frozen, but for a queue that was
    /// reset alone, which runs again once it is ready.
    pub fn set_up_queue(&mut self, index: u32, change: impl FnOnce(&mut QueueSetup, &GuestRam)) {
        let is_live = self.is_live();
        let Some((index, queue)) = self.state.queue_mut(index) else { return };
        if is_live && !queue.was_reset() {
            return;
        }
        change(queue, &self.mem);
        if is_live && queue.is_ready() {
            self.restart(index);
        }
    }

    /// A queue that was reset runs again (VIRTIO 1.2 §2.6.1.2).
    fn restart(&mut self, index: usize) {
        let event_idx = self.has(feature::EVENT_IDX);
        let queue = self.state.queues[index].restarted(event_idx);
        match self.device.start_queue(index, queue) {
            Ok(()) => self.hang(index),
            Err(error) => self.interrupt.needs_reset(&error),
        }
    }

    /// Ends the requests of queue `index` and forgets its registers; the
    /// other queues go on (VIRTIO 1.2 §2.6.1). Ignored unless
    /// [`feature::RING_RESET`] was agreed on. Done when it returns; says
    /// whether there was something to reset.
    pub fn reset_queue(&mut self, index: u32) -> bool {
        if !self.has(feature::RING_RESET) {
            return false;
        }
        let is_live = self.is_live();
        let Some((index, queue)) = self.state.queue_mut(index) else { return false };
        *queue = queue.after_reset();
        if is_live {
            self.bells.detach(index, &self.device.doorbells()[index]);
            self.device.stop_queue(index);
        }
        true
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
    fn drop(&mut self) {
        self.stop();
    }
}
