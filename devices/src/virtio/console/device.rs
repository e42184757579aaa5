use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::port::Port;
use super::state::{Live, RX, State, TX};
use super::{Handle, Size};
use crate::backend::console::{InputPort, Output};
use crate::virtio::queue::Ring;
use crate::virtio::spec::{self, console};
use crate::virtio::{
    DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config, doorbells,
};

/// Enough for a driver that waits for each piece of text, as Linux does.
const QUEUE_SIZE: u16 = 64;

/// A virtio console: `hvc0` in a Linux guest.
///
/// Lock order: device state, then output.
pub struct Console {
    info: DeviceInfo,
    doorbells: Arc<[EventFd]>,
    ready: Arc<EventFd>,
    state: Arc<Mutex<State>>,
}

impl Console {
    /// A console whose output goes to `output`, one of
    /// [`Writer::for_virtio`](crate::backend::console::Writer::for_virtio).
    /// Only with a `size` does the guest learn how large its terminal is, now
    /// and when that changes.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    pub fn new(output: Arc<Output>, size: Option<Size>) -> io::Result<Self> {
        let features = if size.is_some() { console::F_SIZE } else { 0 };
        let doorbells: Arc<[EventFd]> =
            Arc::new([EventFd::new(EFD_NONBLOCK)?, EventFd::new(EFD_NONBLOCK)?]);
        let ready = Arc::new(EventFd::new(EFD_NONBLOCK)?);
        let bells = Arc::clone(&doorbells);
        output.on_ready(move || doorbells::ring(&bells, TX));
        let state = State {
            output,
            doorbells: Arc::clone(&doorbells),
            ready: Arc::clone(&ready),
            size,
            live: None,
            sent: 0,
            wanted: false,
            closing: false,
            timer: TimerFd::new()?,
        };
        Ok(Self {
            info: DeviceInfo {
                id: spec::ID_CONSOLE,
                features,
                queue_sizes: vec![QUEUE_SIZE, QUEUE_SIZE],
            },
            doorbells,
            ready,
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// The receiving side, for whoever has input.
    pub fn input(&self) -> Arc<dyn InputPort> {
        Arc::new(Port::new(Arc::clone(&self.state), Arc::clone(&self.ready)))
    }

    /// The device for the machine, which has given it to a transport.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Console {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn subscriber(&self) -> Option<Subscriber> {
        Some(Arc::clone(&self.state) as Subscriber)
    }

    fn doorbells(&self) -> &[EventFd] {
        &self.doorbells
    }

    /// `cols` and `rows` (VIRTIO 1.2 §5.3.4); the rest is for features that
    /// are not offered.
    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let Size { columns, rows } = self.state().size.unwrap_or_default();
        let mut bytes = [0; 4];
        bytes[..2].copy_from_slice(&columns.to_le_bytes());
        bytes[2..].copy_from_slice(&rows.to_le_bytes());
        config::read(&bytes, offset, data);
    }

    /// No field is writable: `emerg_wr` is not offered.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let mut state = self.state();
        let [rx, tx] = <[Ring; 2]>::try_from(Ring::all(io)).ok().expect("two queues are declared");
        state.live = Some(Live::new(rx, tx));
        // Kicks from before the start may have been drained: look once. This
        // also tells whoever has input that there may be room.
        state.ring(RX);
        state.ring(TX);
        Ok(())
    }

    /// Text is copied under the state's lock, so no more of it is read once
    /// that is held. What of a chain was not taken yet is lost with the reset.
    fn stop(&mut self) -> Vec<Queue> {
        let mut state = self.state();
        state.sent = 0;
        let Some(live) = state.live.take() else { return Vec::new() };
        live.into_rings().map(Ring::into_queue).into()
    }

    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        let mut state = self.state();
        if index == TX {
            state.sent = 0;
        }
        Some(state.live.as_mut()?.ring(index).take_queue())
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        let mut state = self.state();
        if let Some(live) = &mut state.live {
            live.ring(index).replace_queue(queue);
            // Kicks from before may have been drained: look once.
            state.ring(index);
        }
        Ok(())
    }
}
