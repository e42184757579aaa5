use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::{self, Config};
use super::{DiskOptions, Resized};
use crate::backend::disk::DiskImage;
use crate::virtio::Interrupt;
use crate::virtio::rate::{Bucket, Limiter};
use crate::virtio::spec::blk;

/// What time it is; tests have a clock of their own.
pub(super) type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// The disk as all its queues see it.
pub(super) struct Disk {
    pub(super) image: Arc<dyn DiskImage>,
    /// What the log calls it.
    pub(super) name: String,
    pub(super) id: [u8; blk::ID_BYTES],
    pub(super) queues: u16,
    queue_size: u16,
    /// Bytes that the driver knows of.
    capacity: AtomicU64,
    /// `writeback` of the configuration space.
    writeback: AtomicBool,
    limiter: Option<Mutex<Limiter>>,
    clock: Clock,
    failures: Mutex<Failures>,
    /// The driver's ear while the device is started.
    interrupt: Mutex<Option<Arc<Interrupt>>>,
}

impl Disk {
    pub(super) fn new(image: Arc<dyn DiskImage>, options: &DiskOptions, clock: Clock) -> Self {
        let name = match &options.id {
            Some(id) => format!("{id} ({})", image.name()),
            None => image.name(),
        };
        let mut id = [0; blk::ID_BYTES];
        let len = options.serial.len().min(id.len());
        id[..len].copy_from_slice(&options.serial.as_bytes()[..len]);
        Self {
            name,
            id,
            queues: options.queues.get(),
            queue_size: options.queue_size,
            capacity: AtomicU64::new(image.geometry().size),
            writeback: AtomicBool::new(true),
            limiter: Limiter::new(options.limits, clock()).map(Mutex::new),
            failures: Mutex::new(Failures::new(clock())),
            clock,
            interrupt: Mutex::new(None),
            image,
        }
    }

    /// Bytes that requests may touch.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    pub(super) fn set_capacity(&self, bytes: u64) {
        self.capacity.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_writeback(&self) -> bool {
        self.writeback.load(Ordering::Acquire)
    }

    pub(super) fn set_writeback(&self, on: bool) {
        self.writeback.store(on, Ordering::Release);
    }

    pub(super) fn config(&self) -> Config {
        Config {
            capacity: self.capacity(),
            geometry: self.image.geometry(),
            queues: self.queues,
            queue_size: self.queue_size,
            writeback: self.is_writeback(),
        }
    }

    pub(super) fn features(&self) -> u64 {
        config::features(self.image.geometry(), self.image.is_read_only())
    }

    /// Whom to tell of a new size; nobody while the device is stopped.
    pub(super) fn set_interrupt(&self, interrupt: Option<Arc<Interrupt>>) {
        *lock(&self.interrupt) = interrupt;
    }

    /// Until when the rate limits hold back the next request, if they do.
    pub(super) fn held_until(&self) -> Option<Instant> {
        lock(self.limiter.as_ref()?).next((self.clock)())
    }

    /// Counts a request of so many bytes towards the rate limits.
    pub(super) fn count(&self, bytes: u64) {
        if let Some(limiter) = &self.limiter {
            lock(limiter).take(bytes, (self.clock)());
        }
    }

    /// Says in the log what disk this is and how it is reached.
    pub(super) fn introduce(&self, engine: &str) {
        let (name, geometry) = (&self.name, self.image.geometry());
        let mode = if self.image.is_read_only() { ", read-only" } else { "" };
        log::info!(
            "disk {name}: {} bytes in blocks of {}, through {engine}, {} queues{mode}",
            geometry.size,
            geometry.block_size,
            self.queues
        );
    }

    /// Notes that the host could not do what a request asked for.
    pub(super) fn failed(&self, error: &io::Error) {
        if let Some(more) = lock(&self.failures).note((self.clock)()) {
            let name = &self.name;
            log::warn!("disk {name}: a request failed: {error}{more}");
        }
    }

    /// Takes over the size that the image has now, and tells the driver.
    pub(super) fn refresh(&self) -> io::Result<Option<Resized>> {
        // Held throughout: the device does not stop or start meanwhile.
        let interrupt = lock(&self.interrupt);
        self.image.refresh()?;
        let (from, to) = (self.capacity(), self.image.geometry().size);
        if from == to {
            return Ok(None);
        }
        let change = || self.set_capacity(to);
        match &*interrupt {
            Some(interrupt) => interrupt.config_changed(change),
            None => change(),
        }
        Ok(Some(Resized { from, to }))
    }
}

/// Names the first failures in the log, and then one now and then.
struct Failures {
    allowance: Bucket,
    unnamed: u64,
}

const FAILURES_AT_ONCE: Duration = Duration::from_secs(4);

impl Failures {
    fn new(now: Instant) -> Self {
        let rate = NonZeroU64::MIN;
        Self { allowance: Bucket::with_burst(rate, FAILURES_AT_ONCE, now), unnamed: 0 }
    }

    /// What to add to the failure's line in the log, if it gets one.
    fn note(&mut self, now: Instant) -> Option<String> {
        if self.allowance.next(now).is_some() {
            self.unnamed += 1;
            return None;
        }
        self.allowance.take(1, now);
        Some(match std::mem::take(&mut self.unnamed) {
            0 => String::new(),
            unnamed => format!(" (and {unnamed} more before it)"),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
