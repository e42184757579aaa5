//! Lanes served by threads, one for each queue.

use std::io;
use std::sync::Arc;
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
use crate::virtio::post::{Closing, Post};

/// Enough for the longest path, through an image format's library, in a build
/// without optimization. The host commits only what is used.
const STACK: usize = 512 << 10;

/// Makes a queue's way to the image, for so many requests in flight.
pub(super) type MakeChannel = fn(&Disk, &Arc<GuestRam>, u16) -> Box<dyn Channel>;

/// One thread for each queue.
pub(super) struct Workers {
    posts: Vec<Arc<Post<Lane>>>,
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
    fn run(mut self, post: &Post<Lane>, stop: &StopFlag) {
        let _closing = Closing(post);
        while let Some(mut lane) = post.take(stop) {
            panic_if_asked(&self.name);
            if let Err(error) = self.serve(&mut lane, post, stop) {
                let why = format!("the thread {} cannot wait: {error}", self.name);
                self.requests.send(MachineRequest::HostFailed { why });
                return;
            }
            post.give_back(lane);
        }
    }

    /// Serves `lane` until it is wanted back, and drains it.
    fn serve(&mut self, lane: &mut Lane, post: &Post<Lane>, stop: &StopFlag) -> io::Result<()> {
        let channel = self.channel(lane, post.index());
        let bell = post.doorbell();
        let (mut pace, mut burst) = (Pace::default(), Burst::default());
        while !post.is_recalled() && !stop.is_set() {
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
fn gather(lane: &mut Lane, post: &Post<Lane>, burst: &mut Burst) -> bool {
    if lane.untold() == 0 || !lane.is_idle() {
        return false;
    }
    let untold = lane.untold();
    burst.linger(untold, || lane.has_more() || post.is_recalled())
}

/// Waits until the driver adds something or an operation ends.
fn rest(
    lane: &mut Lane,
    channel: &mut dyn Channel,
    post: &Post<Lane>,
    pace: &mut Pace,
) -> io::Result<()> {
    let is_idle = lane.is_idle();
    let found = || lane.has_more() || post.is_recalled();
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
