use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::state::State;
use crate::backend::net::KernelPair;
use crate::virtio::net::NetOptions;
use crate::virtio::net::identity::{self, Identity};
use crate::virtio::spec::net;
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config};

/// A virtio network device whose packets the host's kernel moves: it is told
/// where the queues lie, hears the driver's doorbells itself, and its
/// interrupts go to the driver without this process wherever they can. The
/// control queue is the event loop's.
pub struct KernelNet {
    info: DeviceInfo,
    doorbells: Arc<[EventFd]>,
    state: Arc<Mutex<State>>,
}

impl KernelNet {
    /// A network device with these pairs of queues. The first says what
    /// offloads all have. There are no limits to how much they carry.
    ///
    /// # Errors
    /// If the host has no descriptor left, or does not use the first pair
    /// alone.
    ///
    /// # Panics
    /// If there is no pair, or more than 32767.
    pub fn new(pairs: Vec<Box<dyn KernelPair>>, options: &NetOptions) -> io::Result<Self> {
        let first = pairs.first().expect("a network device has a pair of queues");
        let count = u16::try_from(pairs.len()).expect("a device has at most 65535 queues");
        let identity = Identity::new(options, count, first.mtu());
        let mut info = identity.info(first.offloads());
        info.features &= !net::F_MRG_RXBUF | first.features()?;
        let doorbells = info.queue_sizes.iter().map(|_| EventFd::new(EFD_NONBLOCK));
        let doorbells: Arc<[EventFd]> = doorbells.collect::<io::Result<_>>()?;
        let state = State::new(identity, pairs, Arc::clone(&doorbells))?;
        Ok(Self { info, doorbells, state: Arc::new(Mutex::new(state)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for KernelNet {
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
        state
            .set_offloads(identity::offloads(io.features))
            .map_err(|source| StartError { what: "set the offloads of the network", source })?;
        state.start(io).map_err(refused)
    }

    /// The kernel's packets in flight are waited for.
    fn stop(&mut self) -> Vec<Queue> {
        self.state().stop()
    }

    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        self.state().stop_queue(index)
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        self.state().start_queue(index, queue).map_err(refused)
    }
}

fn refused(source: io::Error) -> StartError {
    StartError { what: "move packets by vhost-net", source }
}
