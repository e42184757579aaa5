use std::io;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::state::State;
use crate::virtio::queue::Ring;
use crate::virtio::rate::Bucket;
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config, spec};

/// Bytes a second that are enough for any guest: Linux seeds itself with 64.
pub const RATE: NonZeroU64 = NonZeroU64::new(256 << 10).expect("not zero");

/// Linux makes one request at a time.
const QUEUE_SIZE: u16 = 64;

/// A virtio entropy device.
pub struct Rng {
    info: DeviceInfo,
    doorbell: Arc<EventFd>,
    state: Arc<Mutex<State>>,
}

impl Rng {
    /// A device that gives `rate` bytes a second, and at once those of a
    /// tenth of a second that were not taken before.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(rate: NonZeroU64) -> io::Result<Self> {
        let doorbell = Arc::new(EventFd::new(EFD_NONBLOCK)?);
        let bucket = Bucket::new(rate, Instant::now());
        let state = State::new(Arc::clone(&doorbell), TimerFd::new()?, bucket);
        let (id, queue_sizes) = (spec::ID_ENTROPY, vec![QUEUE_SIZE]);
        let info = DeviceInfo { id, features: 0, queue_sizes };
        Ok(Self { info, doorbell, state: Arc::new(Mutex::new(state)) })
    }

    /// Has the device take its bytes from elsewhere.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::virtio) fn take_from(&mut self, source: super::state::Source) {
        self.state().source = source;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Rng {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.state) as Subscriber)
    }

    fn doorbells(&self) -> &[EventFd] {
        std::slice::from_ref(&self.doorbell)
    }

    /// There is no configuration (VIRTIO 1.2 §5.4.4).
    fn read_config(&self, offset: usize, data: &mut [u8]) {
        config::read(&[], offset, data);
    }

    /// There is no configuration.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let [ring] = <[Ring; 1]>::try_from(Ring::all(io)).ok().expect("one queue is declared");
        self.state().start(ring);
        Ok(())
    }

    /// Requests are answered under the state's lock: none is in flight once it
    /// is held.
    fn stop(&mut self) -> Vec<Queue> {
        self.state().stop().map(Ring::into_queue).into_iter().collect()
    }

    fn stop_queue(&mut self, _index: usize) -> Option<Queue> {
        Some(self.state().ring()?.take_queue())
    }

    fn start_queue(&mut self, _index: usize, queue: Queue) -> Result<(), StartError> {
        let mut state = self.state();
        if let Some(ring) = state.ring() {
            ring.replace_queue(queue);
            // A kick from before may have been drained: look once.
            state.knock();
        }
        Ok(())
    }
}
