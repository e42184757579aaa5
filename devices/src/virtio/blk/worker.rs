//! Lanes served by threads, one for each queue.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use vmm_core::event::{
    MachineRequest, RequestSender, StopFlag, Worker, WorkerSpec, panic_if_asked,
};
use vmm_core::mem::GuestRam;
use vmm_sys_util::eventfd::EventFd;

use super::burst::Burst;
use super::crew::Crew;
use super::disk::Disk;
use super::lane::{Lane, Next};
use super::pace::Pace;
use crate::backend::disk::Channel;
use crate::virtio::Subscriber;

/// Enough for the longest path, through an image format's library, in a build
/// without optimization. The host commits only what is used.
const STACK: usize = 512 << 10;

/// Makes a queue's way to the image, for so many requests in flight.
pub(super) type MakeChannel = fn(&Disk, &Arc<GuestRam>, u16) -> Box<dyn Channel>;

/// One thread for each queue.
pub(super) struct Workers {
    posts: Vec<Arc<Post>>,
    workers: Vec<Worker<()>>,
}

impl Workers {
    /// Makes the threads `{name}q0`, `{name}q1` and so on, which wait. Each
    /// has the doorbell of its queue.
    ///
    /// # Errors
    /// If the host refuses a thread.
    pub(super) fn spawn(
        name: &str,
        disk: &Arc<Disk>,
        doorbells: &Arc<[EventFd]>,
        make: MakeChannel,
        requests: &RequestSender,
    ) -> io::Result<Self> {
        let mut crew = Self { posts: Vec::new(), workers: Vec::new() };
        for index in 0..doorbells.len() {
            let post = Arc::new(Post::new(index, Arc::clone(doorbells)));
            let wake = Arc::clone(&post);
            let name = format!("{name}q{index}");
            let spec = WorkerSpec {
                name: name.clone(),
                stack: STACK,
                wake: Box::new(move || wake.wake()),
                requests: requests.clone(),
            };
            let at_work = Arc::clone(&post);
            let (disk, requests) = (Arc::clone(disk), requests.clone());
            let work = Work { name, disk, make, requests, channel: None };
            let worker = Worker::spawn(spec, move |stop| work.run(&at_work, stop))?;
            // It waits for its first lane.
            worker.start();
            crew.posts.push(post);
            crew.workers.push(worker);
        }
        Ok(crew)
    }
}

impl Crew for Workers {
    fn subscriber(&self) -> Option<Subscriber> {
        None
    }

    fn serve(&mut self, lane: Lane) {
        self.posts[lane.index()].put(lane);
    }

    fn recall(&mut self, index: usize) {
        self.posts[index].recall();
    }

    fn collect(&mut self, index: usize) -> Option<Lane> {
        self.posts[index].collect()
    }
}

/// Where a lane changes hands between the device and a thread.
struct Post {
    place: Mutex<Place>,
    changed: Condvar,
    /// The device wants the lane back.
    recalled: AtomicBool,
    index: usize,
    doorbells: Arc<[EventFd]>,
}

enum Place {
    /// The device has the lane, if there is one.
    Empty,
    /// It is for the thread.
    There(Box<Lane>),
    /// The thread has it.
    Taken,
    /// It is drained, for the device.
    Back(Box<Lane>),
    /// The thread has ended.
    Closed,
}

impl Post {
    fn new(index: usize, doorbells: Arc<[EventFd]>) -> Self {
        Self {
            place: Mutex::new(Place::Empty),
            changed: Condvar::new(),
            recalled: AtomicBool::new(false),
            index,
            doorbells,
        }
    }

    fn doorbell(&self) -> &EventFd {
        &self.doorbells[self.index]
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, place: Place) {
        *self.lock() = place;
        self.changed.notify_all();
    }

    /// Has the thread look up from whatever it waits for.
    fn wake(&self) {
        // Under the lock, so that a thread about to wait cannot miss it.
        drop(self.lock());
        self.changed.notify_all();
        self.ring();
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.doorbell().write(1);
    }

    fn put(&self, lane: Lane) {
        let mut place = self.lock();
        if !matches!(*place, Place::Closed) {
            self.recalled.store(false, Ordering::Release);
            *place = Place::There(Box::new(lane));
            self.changed.notify_all();
        }
    }

    fn recall(&self) {
        self.recall_from(&self.lock());
    }

    fn recall_from(&self, place: &Place) {
        if matches!(place, Place::Taken) {
            self.recalled.store(true, Ordering::Release);
            self.ring();
        }
    }

    fn collect(&self) -> Option<Lane> {
        let place = self.lock();
        // The thread may have taken the lane since it was recalled.
        self.recall_from(&place);
        let mut place = self
            .changed
            .wait_while(place, |place| matches!(place, Place::Taken))
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::Empty) {
            Place::There(lane) | Place::Back(lane) => Some(*lane),
            Place::Closed => {
                *place = Place::Closed;
                None
            }
            Place::Empty | Place::Taken => None,
        }
    }

    /// Waits for a lane; `None` if the stop comes first.
    fn take(&self, stop: &StopFlag) -> Option<Box<Lane>> {
        let mut place = self
            .changed
            .wait_while(self.lock(), |place| !matches!(place, Place::There(_)) && !stop.is_set())
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::Taken) {
            Place::There(lane) => Some(lane),
            other => {
                *place = other;
                None
            }
        }
    }
}

/// Closes the post when the thread ends, by a panic too: nobody then waits for
/// a lane that does not come.
struct Closing<'p>(&'p Post);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.set(Place::Closed);
    }
}

/// What a thread does.
struct Work {
    name: String,
    disk: Arc<Disk>,
    make: MakeChannel,
    requests: RequestSender,
    /// Made in this thread at its first lane, and kept: most machines start
    /// a device once.
    channel: Option<(Arc<GuestRam>, u16, Box<dyn Channel>)>,
}

impl Work {
    fn run(mut self, post: &Post, stop: &StopFlag) {
        let _closing = Closing(post);
        while let Some(mut lane) = post.take(stop) {
            panic_if_asked(&self.name);
            if let Err(error) = self.serve(&mut lane, post, stop) {
                let why = format!("the thread {} cannot wait: {error}", self.name);
                self.requests.send(MachineRequest::HostFailed { why });
                return;
            }
            post.set(Place::Back(lane));
        }
    }

    /// Serves `lane` until it is wanted back, and drains it.
    fn serve(&mut self, lane: &mut Lane, post: &Post, stop: &StopFlag) -> io::Result<()> {
        let channel = self.channel(lane, post.index);
        let bell = post.doorbell();
        let (mut pace, mut burst) = (Pace::default(), Burst::default());
        while !post.recalled.load(Ordering::Acquire) && !stop.is_set() {
            let next = lane.turn(channel);
            if next == Next::Empty && gather(lane, post, &mut burst) {
                continue;
            }
            lane.tell();
            match next {
                Next::Now => {}
                Next::Empty => rest(lane, channel, post, &mut pace)?,
                Next::Later => channel.wait(bell, None)?,
                Next::At(until) => channel.wait(bell, Some(until))?,
            }
        }
        while !lane.drain(channel) {
            channel.wait(bell, None)?;
        }
        Ok(())
    }

    fn channel(&mut self, lane: &Lane, index: usize) -> &mut dyn Channel {
        let (mem, depth) = (lane.ring().mem(), lane.ring().size());
        let fits = |(its, its_depth, _): &(Arc<GuestRam>, u16, Box<dyn Channel>)| {
            Arc::ptr_eq(its, &mem) && *its_depth >= depth
        };
        let channel = self.channel.take().filter(fits).unwrap_or_else(|| {
            let channel = (self.make)(&self.disk, &mem, depth);
            if index == 0 {
                self.disk.introduce(channel.engine());
            }
            (mem, depth, channel)
        });
        &mut *self.channel.insert(channel).2
    }
}

/// Looks whether the driver is about to add more, if it is to be told of
/// something and nothing else is under way; returns whether it did.
fn gather(lane: &mut Lane, post: &Post, burst: &mut Burst) -> bool {
    if lane.untold() == 0 || !lane.is_idle() {
        return false;
    }
    let untold = lane.untold();
    burst.linger(untold, || lane.has_more() || post.recalled.load(Ordering::Relaxed))
}

/// Waits until the driver adds something or an operation ends.
fn rest(
    lane: &mut Lane,
    channel: &mut dyn Channel,
    post: &Post,
    pace: &mut Pace,
) -> io::Result<()> {
    let is_idle = lane.is_idle();
    let found = || lane.has_more() || post.recalled.load(Ordering::Relaxed);
    if (is_idle && pace.linger(found)) || lane.listen() {
        return Ok(());
    }
    let start = Instant::now();
    channel.wait(post.doorbell(), None)?;
    if is_idle {
        pace.slept(start.elapsed());
    }
    Ok(())
}
