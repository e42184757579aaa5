use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use virtio_queue::Queue;
use vmm_core::event::RequestSender;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::config;
use super::disk::{Clock, Disk};
use super::lane::Lane;
use super::worker::{MakeChannel, Worker};
use crate::backend::disk::{self, DiskImage};
use crate::virtio::lanes::{Crew, Roster, Workers};
use crate::virtio::queue::Ring;
use crate::virtio::rate::Limits;
use crate::virtio::spec::{self, blk};
use crate::virtio::{DeviceInfo, DeviceIo, StartError, Subscriber, VirtioDevice};

/// What a block device is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// What the log calls it, besides the image's name.
    pub id: Option<String>,
    /// What a guest that asks for the disk's name gets: the first 20 bytes.
    pub serial: String,
    /// Queues, each with a thread.
    pub queues: NonZeroU16,
    /// The largest size of each queue: a power of two, 4 to 32768. A request
    /// of one buffer takes three entries.
    pub queue_size: u16,
    /// What the guest may do in a second, all queues together.
    pub limits: Limits,
}

impl Default for DiskOptions {
    /// One queue of 256, no limits and no serial number.
    fn default() -> Self {
        Self {
            id: None,
            serial: String::new(),
            queues: NonZeroU16::MIN,
            queue_size: 256,
            limits: Limits::default(),
        }
    }
}

/// A new size of a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resized {
    /// What it was.
    pub from: u64,
    /// What it is.
    pub to: u64,
}

/// Has a block device look at its image again, from any thread.
#[derive(Clone)]
pub struct Resizer(Arc<Disk>);

impl Resizer {
    /// What the log calls the disk.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Looks whether the image has another size now, and if so, tells the
    /// driver. Requests past the end of a smaller one fail.
    ///
    /// # Errors
    /// What the host said; nothing has changed then.
    pub fn resize(&self) -> io::Result<Option<Resized>> {
        self.0.refresh()
    }
}

/// A virtio block device.
pub struct Blk {
    info: DeviceInfo,
    disk: Arc<Disk>,
    doorbells: Arc<[EventFd]>,
    lanes: Roster<Lane>,
}

impl Blk {
    /// A block device on `image` with a thread for each queue: `{name}q0`,
    /// `{name}q1` and so on, all of at most 15 bytes. A thread that fails ends
    /// the machine through `requests`.
    ///
    /// # Errors
    /// If the host has no descriptor or thread left.
    pub fn new(
        image: Arc<dyn DiskImage>,
        options: &DiskOptions,
        name: &str,
        requests: &RequestSender,
    ) -> io::Result<Self> {
        let make: MakeChannel =
            |disk, mem, depth| disk::channel(Arc::clone(&disk.image), Arc::clone(mem), depth);
        Self::assemble(image, options, Box::new(Instant::now), |disk, doorbells| {
            let disk = Arc::clone(disk);
            let begin = move |_: &str| Worker::new(Arc::clone(&disk), make);
            Ok(Box::new(Workers::spawn(name, doorbells, requests, begin)?))
        })
    }

    /// A block device on `image` that the event loop serves, to test with.
    ///
    /// # Errors
    /// If the host has no descriptor left.
    #[cfg(any(test, feature = "testing"))]
    pub fn on_loop(image: Arc<dyn DiskImage>, options: &DiskOptions) -> io::Result<Self> {
        Self::on_loop_with_clock(image, options, Box::new(Instant::now))
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn on_loop_with_clock(
        image: Arc<dyn DiskImage>,
        options: &DiskOptions,
        clock: Clock,
    ) -> io::Result<Self> {
        Self::assemble(image, options, clock, |disk, doorbells| {
            let turns = doorbells
                .iter()
                .map(|_| super::looped::Sync(disk::sync_channel(Arc::clone(&disk.image))));
            Ok(Box::new(crate::virtio::lanes::Looped::new(Arc::clone(doorbells), turns)))
        })
    }

    fn assemble(
        image: Arc<dyn DiskImage>,
        options: &DiskOptions,
        clock: Clock,
        crew: impl FnOnce(&Arc<Disk>, &Arc<[EventFd]>) -> io::Result<Box<dyn Crew<Lane>>>,
    ) -> io::Result<Self> {
        let disk = Arc::new(Disk::new(image, options, clock));
        let queues = usize::from(options.queues.get());
        let doorbells: Arc<[EventFd]> =
            (0..queues).map(|_| EventFd::new(EFD_NONBLOCK)).collect::<io::Result<_>>()?;
        Ok(Self {
            info: DeviceInfo {
                id: spec::ID_BLOCK,
                features: disk.features(),
                queue_sizes: vec![options.queue_size; queues],
            },
            lanes: Roster::new(crew(&disk, &doorbells)?),
            disk,
            doorbells,
        })
    }

    /// What has the device look at its image again, whatever becomes of it.
    pub fn resizer(&self) -> Resizer {
        Resizer(Arc::clone(&self.disk))
    }
}

impl VirtioDevice for Blk {
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
        crate::virtio::config::read(&self.disk.config().bytes(), offset, data);
    }

    /// Only `writeback` can be written, and only on a disk that can be.
    fn write_config(&mut self, offset: usize, data: &[u8]) {
        let value = config::WRITEBACK.checked_sub(offset).and_then(|at| data.get(at));
        if let Some(value) = value
            && self.info.features & blk::F_CONFIG_WCE != 0
        {
            self.disk.set_writeback(*value != 0);
        }
    }

    fn start(&mut self, io: DeviceIo) -> Result<(), StartError> {
        let features = io.features;
        // §5.2.5.2: a driver that does not flush starts without a cache.
        if features & blk::F_CONFIG_WCE != 0 && features & blk::F_FLUSH == 0 {
            self.disk.set_writeback(false);
        }
        self.disk.set_interrupt(Some(Arc::clone(&io.interrupt)));
        let disk = &self.disk;
        let lane = |ring| Lane::new(Arc::clone(disk), ring, features);
        self.lanes.start(Ring::all(io).into_iter().map(lane));
        Ok(())
    }

    /// The cache is on again afterwards, as for a new driver.
    fn stop(&mut self) -> Vec<Queue> {
        self.disk.set_interrupt(None);
        self.disk.set_writeback(true);
        self.lanes.stop()
    }

    fn stop_queue(&mut self, index: usize) -> Option<Queue> {
        self.lanes.stop_queue(index)
    }

    fn start_queue(&mut self, index: usize, queue: Queue) -> Result<(), StartError> {
        self.lanes.start_queue(index, queue);
        Ok(())
    }
}
