use std::sync::{Arc, Mutex};

use event_manager::MutEventSubscriber;
use virtio_queue::Queue;
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::EventFd;

use super::Interrupt;

/// A device's half on the event loop, as the loop registers it.
pub type Subscriber = Arc<Mutex<dyn MutEventSubscriber + Send>>;

/// Identity and limits of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Virtio device id (VIRTIO 1.2 §5).
    pub id: u32,
    /// Features of this device type; the transport core adds the common ones.
    pub features: u64,
    /// The largest size of each queue: powers of two, at most 32768.
    pub queue_sizes: Vec<u16>,
}

/// What a running device works with.
pub struct DeviceIo {
    /// The guest's memory.
    pub mem: Arc<GuestRam>,
    /// The features that driver and device agreed on.
    pub features: u64,
    /// One for each of [`DeviceInfo::queue_sizes`]. A queue that the driver
    /// left alone is not `ready()`; the others lie in RAM.
    pub queues: Vec<Queue>,
    /// Where the device tells the driver something.
    pub interrupt: Arc<Interrupt>,
}

/// Why a device cannot serve its queues.
#[derive(Debug, thiserror::Error)]
#[error("the host refuses to {what}: {source}")]
pub struct StartError {
    /// What the device asked of the host.
    pub what: &'static str,
    /// What the host said.
    pub source: std::io::Error,
}

/// What differs from one virtio device to another.
///
/// A device has two halves that share its state: this front, which the
/// transport owns, and what serves the queues, a [`Subscriber`] on the event
/// loop or threads of its own. Both exist from construction on; an event for
/// a stopped device or queue is drained and ignored.
pub trait VirtioDevice: Send {
    /// Identity and limits; constant for the device's life.
    fn info(&self) -> &DeviceInfo;
    /// The half to register on the event loop, once, before vCPUs run; `None`
    /// if the device has threads instead.
    fn subscriber(&self) -> Option<Subscriber>;
    /// One non-blocking eventfd for each queue: written to tell the device
    /// that the driver made buffers available.
    fn doorbells(&self) -> &[EventFd];
    /// Fills `data` from the configuration space; zeros past its end.
    fn read_config(&self, offset: usize, data: &mut [u8]);
    /// Applies `data` to the writable fields of the configuration space.
    fn write_config(&mut self, offset: usize, data: &[u8]);
    /// Serves the queues; the driver has set DRIVER_OK.
    ///
    /// # Errors
    /// If the host refuses what the negotiated features need.
    fn start(&mut self, io: DeviceIo) -> Result<(), StartError>;
    /// Drains requests in flight and returns the queues; none if the device
    /// was not started. Idempotent.
    fn stop(&mut self) -> Vec<Queue>;
    /// Drains the requests of one queue, whose index is below their number,
    /// and returns it; the others go on (VIRTIO 1.2 §2.6.1). `None` if the
    /// device is not started. Idempotent: a stopped queue is not `ready()`.
    fn stop_queue(&mut self, index: usize) -> Option<Queue>;
    /// Serves one queue of a started device again, after
    /// [`VirtioDevice::stop_queue`], set up anew. Its interrupt and features
    /// are those of the start. Nothing happens if the device is not started.
    ///
    /// # Errors
    /// If the host refuses what the queue needs.
    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError>;
}
