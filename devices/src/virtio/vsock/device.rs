use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::hub::Hub;
use super::state::{RX, State, TX};
use crate::backend::vsock::VsockBackend;
use crate::virtio::queue::Ring;
use crate::virtio::spec::{self, vsock};
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config};

const QUEUE_SIZE: u16 = 256;
/// Buffers for events, of which there is hardly ever one.
const EVENT_QUEUE_SIZE: u16 = 16;

/// A virtio socket device.
pub struct Vsock {
    info: DeviceInfo,
    cid: u32,
    doorbells: Arc<[EventFd]>,
    state: Arc<Mutex<State>>,
}

impl Vsock {
    /// A socket device whose guest has the address `cid`, from 3 to 2³² - 2
    /// (VIRTIO 1.2 §5.10.4), and whose streams end at `backend`.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(cid: u32, backend: Box<dyn VsockBackend>) -> io::Result<Self> {
        let bell = || EventFd::new(EFD_NONBLOCK);
        let doorbells: Arc<[EventFd]> = Arc::new([bell()?, bell()?, bell()?]);
        let state = State::new(Hub::new(cid, backend)?, Arc::clone(&doorbells))?;
        Ok(Self {
            info: DeviceInfo {
                id: spec::ID_VSOCK,
                features: vsock::F_STREAM,
                queue_sizes: vec![QUEUE_SIZE, QUEUE_SIZE, EVENT_QUEUE_SIZE],
            },
            cid,
            doorbells,
            state: Arc::new(Mutex::new(state)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Vsock {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.state) as Subscriber)
    }

    fn doorbells(&self) -> &[EventFd] {
        &self.doorbells
    }

    /// `guest_cid` (VIRTIO 1.2 §5.10.4).
    fn read_config(&self, offset: usize, data: &mut [u8]) {
        config::read(&u64::from(self.cid).to_le_bytes(), offset, data);
    }

    /// No field is writable.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let mut state = self.state();
        let rings = <[Ring; 3]>::try_from(Ring::all(io)).ok().expect("three queues are declared");
        state.live = Some(rings);
        // Kicks from before the start may have been drained: look once.
        state.ring(RX);
        state.ring(TX);
        Ok(())
    }

    /// Packets are moved under the state's lock, so none is in flight once it
    /// is held. The driver has forgotten its connections; so does the device.
    fn stop(&mut self) -> Vec<Queue> {
        let mut state = self.state();
        let Some(rings) = state.live.take() else { return Vec::new() };
        state.hub.reset();
        rings.into_iter().map(Ring::into_queue).collect()
    }

    /// What waits for buffers waits for those of the next start.
    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        let mut state = self.state();
        Some(state.live.as_mut()?[index].take_queue())
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        let mut state = self.state();
        if let Some(rings) = &mut state.live {
            rings[index].replace_queue(queue);
            // Kicks from before may have been drained: look once.
            state.ring(index);
        }
        Ok(())
    }
}
