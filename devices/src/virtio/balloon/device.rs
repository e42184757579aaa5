use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::BalloonHandle;
use super::config::Config;
use super::live::{Live, Role, roles};
use super::state::State;
use crate::virtio::spec::balloon::*;
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, spec};

/// Linux reports up to 32 blocks of free pages with one chain.
const QUEUE_SIZE: u16 = 128;

/// What a balloon is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalloonOptions {
    /// How many bytes are to be in it from the start.
    pub size: u64,
    /// Whether the guest may take pages back rather than run out of memory.
    pub deflate_on_oom: bool,
    /// Whether pages that are free in the guest go back to the host.
    pub free_page_reporting: bool,
}

/// A virtio memory balloon. Runs on the event loop.
pub struct Balloon {
    info: DeviceInfo,
    doorbells: Arc<[EventFd]>,
    config: Arc<Config>,
    state: Arc<Mutex<State>>,
}

impl Balloon {
    /// A balloon that is empty, until the driver fills it.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(options: BalloonOptions) -> io::Result<Self> {
        let features = features(options);
        let count = roles(features).take_while(|role| *role != Role::Unused).count();
        let doorbells: Arc<[EventFd]> =
            (0..count).map(|_| EventFd::new(EFD_NONBLOCK)).collect::<Result<_, _>>()?;
        let config = Arc::new(Config::new(options.size));
        let state = State::new(Arc::clone(&doorbells), Arc::clone(&config));
        let queue_sizes = vec![QUEUE_SIZE; count];
        let info = DeviceInfo { id: spec::ID_BALLOON, features, queue_sizes };
        Ok(Self { info, doorbells, config, state: Arc::new(Mutex::new(state)) })
    }

    /// What works on the balloon while the machine runs.
    pub fn handle(&self) -> BalloonHandle {
        BalloonHandle { state: Arc::clone(&self.state), config: Arc::clone(&self.config) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports come with [`F_PAGE_POISON`]: without it, a guest that relies on
/// what free pages hold would report none, although zeros mostly suit it.
fn features(options: BalloonOptions) -> u64 {
    let only_if = |wanted, bits| if wanted { bits } else { 0 };
    F_STATS_VQ
        | only_if(options.deflate_on_oom, F_DEFLATE_ON_OOM)
        | only_if(options.free_page_reporting, F_PAGE_REPORTING | F_PAGE_POISON)
}

impl VirtioDevice for Balloon {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.state) as Subscriber)
    }

    fn doorbells(&self) -> &[EventFd] {
        &self.doorbells
    }

    /// `num_pages`, `actual`, `poison_val` (VIRTIO 1.2 §5.5.4).
    fn read_config(&self, offset: usize, data: &mut [u8]) {
        self.config.read(offset, data);
    }

    /// `actual` and `poison_val` are the driver's.
    fn write_config(&mut self, offset: usize, data: &[u8]) {
        self.config.write(offset, data);
    }

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        self.state().start(Live::new(io));
        Ok(())
    }

    /// Chains are served under the state's lock: none is in flight once it is
    /// held.
    fn stop(&mut self) -> Vec<Queue> {
        self.state().stop()
    }

    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        self.state().stop_queue(index)
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        self.state().start_queue(index, queue);
        Ok(())
    }
}
