use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;

use virtio_queue::Queue;
use vmm_core::event::RequestSender;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::lane::Lane;
use super::server::Server;
use super::worker::Worker;
use crate::backend::fs::Share;
use crate::virtio::lanes::{Crew, Roster, Workers};
use crate::virtio::queue::Ring;
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice, config, spec};

/// Entries of a queue: what is read or written at once, a megabyte, may be in
/// as many pieces as it has pages, and Linux wants some more.
const QUEUE_SIZE: u16 = 1024;

/// What a guest mounts a share by (§5.11.4): 1 to 36 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag([u8; Tag::BYTES]);

impl Tag {
    /// The longest.
    pub const BYTES: usize = 36;

    /// `text` as a tag; `None` if it is empty, too long or has a NUL.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        let is_fit = !text.is_empty() && !text.contains('\0');
        bytes.get_mut(..text.len()).filter(|_| is_fit)?.copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }
}

/// What a file system device is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsOptions {
    /// What the guest mounts it by.
    pub tag: Tag,
    /// Queues for requests, besides the one for what must not wait for them;
    /// each has a thread.
    pub queues: NonZeroU16,
}

/// A virtio file system device.
pub struct Fs {
    info: DeviceInfo,
    config: [u8; CONFIG],
    server: Arc<Server>,
    doorbells: Arc<[EventFd]>,
    lanes: Roster<Lane>,
}

/// Bytes of the configuration: tag and number of request queues. The size of
/// notifications comes with a feature that is not offered.
const CONFIG: usize = Tag::BYTES + size_of::<u32>();

impl Fs {
    /// A device for `share` with a thread for each queue: `{name}q0` and so
    /// on, all of at most 15 bytes. A thread that fails ends the machine
    /// through `requests`.
    ///
    /// # Errors
    /// If the host has no descriptor or thread left.
    pub fn new(
        share: Share,
        options: &FsOptions,
        name: &str,
        requests: &RequestSender,
    ) -> io::Result<Self> {
        Self::assemble(share, options, |doorbells| {
            Ok(Box::new(Workers::spawn(name, doorbells, requests, Worker::begin)?))
        })
    }

    /// The same on the event loop, to test with.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    #[cfg(any(test, feature = "testing"))]
    pub fn on_loop(share: Share, options: &FsOptions) -> io::Result<Self> {
        Self::assemble(share, options, |doorbells| {
            let turns = doorbells.iter().map(|_| super::looped::OneByOne);
            Ok(Box::new(crate::virtio::lanes::Looped::new(Arc::clone(doorbells), turns)))
        })
    }

    fn assemble(
        share: Share,
        options: &FsOptions,
        crew: impl FnOnce(&Arc<[EventFd]>) -> io::Result<Box<dyn Crew<Lane>>>,
    ) -> io::Result<Self> {
        let queues = usize::from(options.queues.get()) + 1;
        let doorbells: Arc<[EventFd]> =
            (0..queues).map(|_| EventFd::new(EFD_NONBLOCK)).collect::<io::Result<_>>()?;
        let mut config = [0; CONFIG];
        config[..Tag::BYTES].copy_from_slice(&options.tag.0);
        config[Tag::BYTES..].copy_from_slice(&u32::from(options.queues.get()).to_le_bytes());
        Ok(Self {
            info: DeviceInfo {
                id: spec::ID_FS,
                features: 0,
                queue_sizes: vec![QUEUE_SIZE; queues],
            },
            config,
            server: Arc::new(Server::new(share)),
            lanes: Roster::new(crew(&doorbells)?),
            doorbells,
        })
    }
}

impl VirtioDevice for Fs {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn subscriber(&self) -> Option<Subscriber> {
        self.lanes.subscriber()
    }

    fn doorbells(&self) -> &[EventFd] {
        &self.doorbells
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        config::read(&self.config, offset, data);
    }

    /// Nothing of it can be written.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let server = &self.server;
        let lanes = Ring::all(io).into_iter().map(|ring| Lane::new(ring, Arc::clone(server)));
        self.lanes.start(lanes);
        Ok(())
    }

    /// Files that the guest had open are closed then.
    fn stop(&mut self) -> Vec<Queue> {
        let queues = self.lanes.stop();
        self.server.reset();
        queues
    }

    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        self.lanes.stop_queue(index)
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        self.lanes.start_queue(index, queue);
        Ok(())
    }
}
