use super::vectors::{NO_VECTOR, Vectors};
use crate::virtio::Event;
use crate::virtio::transport::{Core, QueueSetup, RingPart, half, with_half};

/// Fields of the common configuration (VIRTIO 1.2 §4.1.4.3).
mod reg {
    pub(super) const DEVICE_FEATURE_SELECT: u64 = 0;
    pub(super) const DEVICE_FEATURE: u64 = 4;
    pub(super) const DRIVER_FEATURE_SELECT: u64 = 8;
    pub(super) const DRIVER_FEATURE: u64 = 12;
    pub(super) const CONFIG_MSIX_VECTOR: u64 = 16;
    pub(super) const NUM_QUEUES: u64 = 18;
    pub(super) const DEVICE_STATUS: u64 = 20;
    pub(super) const CONFIG_GENERATION: u64 = 21;
    pub(super) const QUEUE_SELECT: u64 = 22;
    pub(super) const QUEUE_SIZE: u64 = 24;
    pub(super) const QUEUE_MSIX_VECTOR: u64 = 26;
    pub(super) const QUEUE_ENABLE: u64 = 28;
    pub(super) const QUEUE_NOTIFY_OFF: u64 = 30;
    pub(super) const QUEUE_DESC: u64 = 32;
    pub(super) const QUEUE_DRIVER: u64 = 40;
    pub(super) const QUEUE_DEVICE: u64 = 48;
    pub(super) const QUEUE_RESET: u64 = 58;
}

/// What the common configuration selects: plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommonState {
    /// Which half of the device's features is read.
    pub device_feature_select: u32,
    /// Which half of the driver's features is read and written.
    pub driver_feature_select: u32,
    /// Which queue the queue's fields are about.
    pub queue_select: u16,
}

/// The common configuration, while it is accessed.
pub(super) struct Common<'a> {
    pub(super) core: &'a mut Core,
    pub(super) state: &'a mut CommonState,
    pub(super) vectors: &'a Vectors,
}

impl Common<'_> {
    /// Each field is read in its own width, one of 8 bytes as two of 4
    /// (§4.1.3.1). Any other read is of no field: zeros.
    pub(super) fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Ok(byte) = <&mut [u8; 1]>::try_from(&mut *data) {
            *byte = [self.read8(offset)];
        } else if let Ok(half) = <&mut [u8; 2]>::try_from(&mut *data) {
            *half = self.read16(offset).to_le_bytes();
        } else if let Ok(word) = <&mut [u8; 4]>::try_from(&mut *data) {
            *word = self.read32(offset).to_le_bytes();
        }
    }

    /// Any write that [`Common::read`] would not read is dropped.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        match *data {
            [status] if offset == reg::DEVICE_STATUS => self.set_status(status),
            [a, b] => self.write16(offset, u16::from_le_bytes([a, b])),
            [a, b, c, d] => self.write32(offset, u32::from_le_bytes([a, b, c, d])),
            _ => {}
        }
    }

    fn read8(&self, offset: u64) -> u8 {
        match offset {
            reg::DEVICE_STATUS => self.core.status(),
            // A byte of the generation is what the driver compares.
            reg::CONFIG_GENERATION => self.core.interrupt().generation().to_le_bytes()[0],
            _ => 0,
        }
    }

    fn read16(&self, offset: u64) -> u16 {
        match offset {
            reg::CONFIG_MSIX_VECTOR => self.vectors.vector(Event::Config),
            reg::NUM_QUEUES => self.core.queue_count(),
            reg::QUEUE_SELECT => self.state.queue_select,
            reg::QUEUE_SIZE => self.queue().and_then(|q| q.size().try_into().ok()).unwrap_or(0),
            reg::QUEUE_MSIX_VECTOR => self.vectors.vector(self.used()),
            reg::QUEUE_ENABLE => self.queue().map_or(0, |q| q.is_ready().into()),
            reg::QUEUE_NOTIFY_OFF => self.queue().map_or(0, |_| self.state.queue_select),
            // QUEUE_RESET is among these: a reset is over once it was written.
            _ => 0,
        }
    }

    fn read32(&self, offset: u64) -> u32 {
        let state = &*self.state;
        match offset {
            reg::DEVICE_FEATURE_SELECT => state.device_feature_select,
            reg::DEVICE_FEATURE => half(self.core.device_features(), state.device_feature_select),
            reg::DRIVER_FEATURE_SELECT => state.driver_feature_select,
            reg::DRIVER_FEATURE => half(self.core.driver_features(), state.driver_feature_select),
            _ => address(offset)
                .zip(self.queue())
                .map_or(0, |((part, which), queue)| half(queue.address(part), which)),
        }
    }

    fn write16(&mut self, offset: u64, value: u16) {
        match offset {
            reg::CONFIG_MSIX_VECTOR => self.vectors.set_vector(Event::Config, value),
            reg::QUEUE_SELECT => self.state.queue_select = value,
            reg::QUEUE_SIZE => self.set_up(|queue| queue.set_size(value.into())),
            reg::QUEUE_MSIX_VECTOR => self.vectors.set_vector(self.used(), value),
            // A driver must not write 0 here, nor to QUEUE_RESET (§4.1.4.3.2).
            reg::QUEUE_ENABLE if value == 1 => {
                let index = self.state.queue_select.into();
                self.core.set_up_queue(index, |queue, mem| queue.set_ready(true, mem));
            }
            reg::QUEUE_RESET if value == 1 => self.reset_queue(),
            _ => {}
        }
    }

    fn write32(&mut self, offset: u64, value: u32) {
        match offset {
            reg::DEVICE_FEATURE_SELECT => self.state.device_feature_select = value,
            reg::DRIVER_FEATURE_SELECT => self.state.driver_feature_select = value,
            reg::DRIVER_FEATURE => {
                let which = self.state.driver_feature_select;
                let features = with_half(self.core.driver_features(), which, value);
                self.core.set_driver_features(features);
            }
            _ => {
                let Some((part, which)) = address(offset) else { return };
                self.set_up(|q| q.set_address(part, with_half(q.address(part), which, value)));
            }
        }
    }

    fn set_status(&mut self, status: u8) {
        self.core.set_status(status);
        if status == 0 {
            *self.state = CommonState::default();
            self.vectors.reset();
        }
    }

    /// The vector belongs to the queue's state and goes with it.
    fn reset_queue(&mut self) {
        if self.core.reset_queue(self.state.queue_select.into()) {
            self.vectors.set_vector(self.used(), NO_VECTOR);
        }
    }

    fn queue(&self) -> Option<&QueueSetup> {
        self.core.queue(self.state.queue_select.into())
    }

    fn used(&self) -> Event {
        Event::Used(self.state.queue_select)
    }

    fn set_up(&mut self, change: impl FnOnce(&mut QueueSetup)) {
        self.core.set_up_queue(self.state.queue_select.into(), |queue, _| change(queue));
    }
}

/// The part of a queue whose address is at `offset`, and which half of it.
fn address(offset: u64) -> Option<(RingPart, u32)> {
    match offset {
        reg::QUEUE_DESC => Some((RingPart::Desc, 0)),
        _ if offset == reg::QUEUE_DESC + 4 => Some((RingPart::Desc, 1)),
        reg::QUEUE_DRIVER => Some((RingPart::Driver, 0)),
        _ if offset == reg::QUEUE_DRIVER + 4 => Some((RingPart::Driver, 1)),
        reg::QUEUE_DEVICE => Some((RingPart::Device, 0)),
        _ if offset == reg::QUEUE_DEVICE + 4 => Some((RingPart::Device, 1)),
        _ => None,
    }
}
