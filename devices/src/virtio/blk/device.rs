use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::state::{Disk, State};
use crate::backend::disk::DiskBackend;
use crate::virtio::queue::Ring;
use crate::virtio::spec::{self, blk};
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice};

const QUEUE_SIZE: u16 = 256;
/// Data buffers in one request: header and status take two descriptors.
const SEG_MAX: u32 = 254;
/// `capacity`, `size_max` and `seg_max` (VIRTIO 1.2 §5.2.4).
const CONFIG_LEN: usize = 16;

/// A virtio block device.
pub struct Blk {
    info: DeviceInfo,
    config: [u8; CONFIG_LEN],
    doorbells: Arc<[EventFd]>,
    state: Arc<Mutex<State>>,
}

impl Blk {
    /// A block device on `backend`. A guest that asks for the disk's name
    /// gets the first 20 bytes of `id`.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(backend: Box<dyn DiskBackend>, id: &str) -> io::Result<Self> {
        let read_only = if backend.is_read_only() { blk::F_RO } else { 0 };
        let mut config = [0; CONFIG_LEN];
        config[..8].copy_from_slice(&(backend.size() / blk::SECTOR_SIZE).to_le_bytes());
        config[12..].copy_from_slice(&SEG_MAX.to_le_bytes());
        let mut name = [0; blk::ID_BYTES];
        let len = id.len().min(name.len());
        name[..len].copy_from_slice(&id.as_bytes()[..len]);

        let doorbells: Arc<[EventFd]> = Arc::new([EventFd::new(EFD_NONBLOCK)?]);
        let disk = Disk { backend, id: name, write_through: true, failures: 0 };
        let state = State { disk, doorbells: Arc::clone(&doorbells), ring: None };
        Ok(Self {
            info: DeviceInfo {
                id: spec::ID_BLOCK,
                features: blk::F_SEG_MAX | blk::F_FLUSH | read_only,
                queue_sizes: vec![QUEUE_SIZE],
            },
            config,
            doorbells,
            state: Arc::new(Mutex::new(state)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Blk {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.state) as Subscriber)
    }

    fn doorbells(&self) -> &[EventFd] {
        &self.doorbells
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        crate::virtio::config::read(&self.config, offset, data);
    }

    /// No field is writable: a cache mode is not offered.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let mut state = self.state();
        state.disk.write_through = io.features & blk::F_FLUSH == 0;
        state.ring = Ring::all(io).pop();
        // A kick from before the start may have been drained: look once.
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbells[0].write(1);
        Ok(())
    }

    /// Requests are served under the state's lock, so none is in flight once
    /// it is held.
    fn stop(&mut self) -> Vec<Queue> {
        self.state().ring.take().map(Ring::into_queue).into_iter().collect()
    }
    fn stop_queue(&mut self, _index: usize) -> Option<Queue> {
        self.state().ring.as_mut().map(Ring::take_queue)
    }

    fn start_queue(&mut self, _index: usize, queue: Queue) -> Result<(), StartError> {
        if let Some(ring) = &mut self.state().ring {
            ring.replace_queue(queue);
            let _ = self.doorbells[0].write(1);
        }
        Ok(())
    }
}
