use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::identity::{self, Identity};
use super::pair::Pair;
use super::state::{self, State, source};
use super::throttle::{Clock, Throttle};
use crate::backend::net::NetBackend;
use crate::virtio::queue::Ring;
use crate::virtio::rate::Limits;
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config};

/// What a network device is to be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetOptions {
    /// The guest's address.
    pub mac: [u8; 6],
    /// The largest packet without its Ethernet header, in bytes, as the guest
    /// is told if it is at least 1280; without it the backend's.
    pub mtu: Option<u16>,
    /// Packets and bytes that may go in a second, in each direction, all
    /// queues together.
    pub limits: Limits,
}

/// A virtio network device.
pub struct Net {
    info: DeviceInfo,
    doorbells: Arc<[EventFd]>,
    state: Arc<Mutex<State>>,
}

impl Net {
    /// A network device whose packets go to `backends`, one for each pair of
    /// queues. The first says what offloads all have.
    ///
    /// # Errors
    /// If the host has no descriptor left, or does not use the first alone.
    ///
    /// # Panics
    /// If there is no backend, or more than 32767.
    pub fn new(backends: Vec<Box<dyn NetBackend>>, options: &NetOptions) -> io::Result<Self> {
        Self::with_clock(backends, options, Box::new(Instant::now))
    }

    pub(super) fn with_clock(
        backends: Vec<Box<dyn NetBackend>>,
        options: &NetOptions,
        clock: Clock,
    ) -> io::Result<Self> {
        let first = backends.first().expect("a network device has a backend");
        let pairs = u16::try_from(backends.len()).expect("a device has at most 65535 queues");
        let identity = Identity::new(options, pairs, first.mtu());
        let info = identity.info(first.offloads());
        let doorbells: Arc<[EventFd]> = info
            .queue_sizes
            .iter()
            .map(|_| EventFd::new(EFD_NONBLOCK))
            .collect::<Result<_, _>>()?;
        let mut pairs: Vec<_> = backends
            .into_iter()
            .zip(source::BACKENDS..)
            .map(|(backend, source)| Pair::new(backend, source))
            .collect();
        // A driver that knows nothing of the others would not serve them.
        if !state::enable(&mut pairs, 1) {
            return Err(io::Error::other("its queues cannot be switched off"));
        }
        let state = State {
            identity,
            pairs,
            throttle: Throttle::new(options.limits, clock)?,
            nap: TimerFd::new()?,
            is_nap_set: false,
            doorbells: Arc::clone(&doorbells),
            live: None,
        };
        Ok(Self { info, doorbells, state: Arc::new(Mutex::new(state)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Net {
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
        config::read(&self.state().identity.config(), offset, data);
    }

    /// No field is writable.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let mut state = self.state();
        let features = io.features;
        state
            .set_offloads(identity::offloads(features))
            .map_err(|source| StartError { what: "set the offloads of the network", source })?;
        state.start(Ring::all(io), features);
        Ok(())
    }

    /// Packets are moved under the state's lock, so none is in flight once it
    /// is held.
    fn stop(&mut self) -> Vec<Queue> {
        self.state().stop().into_iter().map(Ring::into_queue).collect()
    }

    /// A packet that waits for buffers waits for those of the next start.
    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        Some(self.state().live.as_mut()?.rings[index].take_queue())
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        let mut state = self.state();
        if let Some(live) = &mut state.live {
            live.rings[index].replace_queue(queue);
            // Kicks from before may have been drained: look once.
            state.ring(index);
        }
        Ok(())
    }
}
