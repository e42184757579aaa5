use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_queue::Queue;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::rx::Receiver;
use super::state::{Live, RX, State, TX};
use crate::backend::net::{NetBackend, Offloads};
use crate::virtio::queue::Ring;
use crate::virtio::spec::{self, net};
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config};

const QUEUE_SIZE: u16 = 256;
/// Below this a device may not tell its MTU (VIRTIO 1.2 §5.1.4.1).
const MTU_MIN: u16 = 1280;

/// What every network device offers.
const FEATURES: u64 = net::F_MRG_RXBUF | net::F_MAC | net::F_STATUS;

/// What a network device is to be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetOptions {
    /// The guest's address.
    pub mac: [u8; 6],
    /// The largest packet without its Ethernet header, in bytes, as the guest
    /// is told if it is at least 1280; without it the backend's.
    pub mtu: Option<u16>,
}

/// A virtio network device.
pub struct Net {
    info: DeviceInfo,
    mac: [u8; 6],
    mtu: u16,
    doorbells: Arc<[EventFd]>,
    state: Arc<Mutex<State>>,
}

impl Net {
    /// A network device whose packets go to `backends`, one for each pair of
    /// queues.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    ///
    /// # Panics
    /// If there is no backend, or more than one.
    pub fn new(backends: Vec<Box<dyn NetBackend>>, options: &NetOptions) -> io::Result<Self> {
        let [backend] =
            <[_; 1]>::try_from(backends).ok().expect("a network device has one pair of queues");
        let mtu = options.mtu.or_else(|| backend.mtu()).filter(|mtu| *mtu >= MTU_MIN);
        let features = offered(backend.offloads()) | if mtu.is_some() { net::F_MTU } else { 0 };
        let doorbells: Arc<[EventFd]> =
            Arc::new([EventFd::new(EFD_NONBLOCK)?, EventFd::new(EFD_NONBLOCK)?]);
        let state = State {
            backend,
            doorbells: Arc::clone(&doorbells),
            receiver: Receiver::new(),
            live: None,
            link_up: true,
        };
        Ok(Self {
            info: DeviceInfo {
                id: spec::ID_NET,
                features,
                queue_sizes: vec![QUEUE_SIZE, QUEUE_SIZE],
            },
            mac: options.mac,
            mtu: mtu.unwrap_or(0),
            doorbells,
            state: Arc::new(Mutex::new(state)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Features of a device whose host's end has `offloads`.
fn offered(offloads: Offloads) -> u64 {
    let bits = |has, bits| if has { bits } else { 0 };
    FEATURES
        | bits(offloads.csum, net::F_CSUM | net::F_GUEST_CSUM)
        | bits(offloads.csum && offloads.tso4, net::F_GUEST_TSO4 | net::F_HOST_TSO4)
        | bits(offloads.csum && offloads.tso6, net::F_GUEST_TSO6 | net::F_HOST_TSO6)
}

/// What the driver takes, as the host is to know it.
fn offloads(features: u64) -> Offloads {
    let has = |bit| features & bit != 0;
    Offloads {
        csum: has(net::F_GUEST_CSUM),
        tso4: has(net::F_GUEST_CSUM) && has(net::F_GUEST_TSO4),
        tso6: has(net::F_GUEST_CSUM) && has(net::F_GUEST_TSO6),
        uso: false,
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

    /// `mac`, `status`, `max_virtqueue_pairs`, `mtu` (VIRTIO 1.2 §5.1.4).
    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let status = if self.state().link_up { net::S_LINK_UP } else { 0 };
        let mut bytes = [0; 12];
        bytes[..6].copy_from_slice(&self.mac);
        bytes[6..8].copy_from_slice(&status.to_le_bytes());
        bytes[10..].copy_from_slice(&self.mtu.to_le_bytes());
        config::read(&bytes, offset, data);
    }

    /// No field is writable.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let mut state = self.state();
        let features = io.features;
        state
            .set_offloads(offloads(features))
            .map_err(|source| StartError { what: "set the offloads of the network", source })?;
        let [rx, tx] = <[Ring; 2]>::try_from(Ring::all(io)).ok().expect("two queues are declared");
        state.live = Some(Live { rx, tx, features });
        // Kicks from before the start may have been drained: look once. This
        // also makes the loop listen for packets.
        state.ring(RX);
        state.ring(TX);
        Ok(())
    }

    /// Packets are moved under the state's lock, so none is in flight once it
    /// is held.
    fn stop(&mut self) -> Vec<Queue> {
        let mut state = self.state();
        let Some(live) = state.live.take() else { return Vec::new() };
        state.receiver.clear();
        if let Err(error) = state.set_offloads(Offloads::default()) {
            log::warn!("virtio-net: the offloads cannot be cleared: {error}");
        }
        vec![live.rx.into_queue(), live.tx.into_queue()]
    }
    /// A packet that waits for buffers waits for those of the next start.
    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        let mut state = self.state();
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
