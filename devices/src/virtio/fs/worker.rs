//! Lanes served by threads, one for each queue.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use vmm_core::event::{
    MachineRequest, RequestSender, StopFlag, Worker, WorkerSpec, panic_if_asked,
};
use vmm_core::sys;
use vmm_sys_util::eventfd::EventFd;

use super::crew::Crew;
use super::lane::Lane;
use crate::virtio::Subscriber;
use crate::virtio::blk::pace::Pace;
use crate::virtio::post::{Closing, Post};

/// Enough for the library in a build without optimization. The host commits
/// only what is used.
const STACK: usize = 512 << 10;

/// One thread for each queue.
pub(super) struct Workers {
    posts: Vec<Arc<Post<Lane>>>,
    /// Stopped when they are dropped.
    _workers: Vec<Worker<()>>,
}

impl Workers {
    /// Makes the threads `{name}q0`, `{name}q1` and so on, which wait. Each
    /// has the doorbell of its queue.
    ///
    /// # Errors
    /// If the host refuses a thread.
    pub(super) fn spawn(
        name: &str,
        doorbells: &Arc<[EventFd]>,
        requests: &RequestSender,
    ) -> io::Result<Self> {
        let (mut posts, mut workers) = (Vec::new(), Vec::new());
        for index in 0..doorbells.len() {
            let post = Arc::new(Post::new(index, Arc::clone(doorbells)));
            let name = format!("{name}q{index}");
            let (wake, at_work) = (Arc::clone(&post), Arc::clone(&post));
            let spec = WorkerSpec {
                name: name.clone(),
                stack: STACK,
                wake: Box::new(move || wake.wake()),
                requests: requests.clone(),
            };
            let requests = requests.clone();
            let worker = Worker::spawn(spec, move |stop| {
                if let Err(error) = run(&name, &at_work, stop) {
                    let why = format!("the thread {name} cannot work: {error}");
                    requests.send(MachineRequest::HostFailed { why });
                }
            })?;
            // It waits for its first lane.
            worker.start();
            posts.push(post);
            workers.push(worker);
        }
        Ok(Self { posts, _workers: workers })
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
fn run(name: &str, post: &Post<Lane>, stop: &StopFlag) -> io::Result<()> {
    let _closing = Closing(post);
    // The guest has file creation masks of its own. That of this process stays
    // for others, and for the guest, too, where a container forbids this.
    match unshare(CloneFlags::CLONE_FS) {
        Ok(()) => drop(umask(Mode::empty())),
        Err(error) => log::debug!("{name}: the umask is that of the process: {error}"),
    }
    while let Some(mut lane) = post.take(stop) {
        panic_if_asked(name);
        serve(&mut lane, post, stop)?;
        post.give_back(lane);
    }
    Ok(())
}

/// Serves `lane` until it is wanted back.
fn serve(lane: &mut Lane, post: &Post<Lane>, stop: &StopFlag) -> io::Result<()> {
    let mut pace = Pace::default();
    let is_over = || post.is_recalled() || stop.is_set();
    while !is_over() {
        lane.turn(is_over);
        if pace.linger(|| lane.has_more() || is_over()) || lane.listen() {
            continue;
        }
        let start = Instant::now();
        match sys::wait_woken(post.doorbell(), None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => pace.slept(start.elapsed()),
        }
    }
    Ok(())
}
