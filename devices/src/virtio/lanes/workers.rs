//! Lanes served by threads, one for each queue.

use std::io;
use std::sync::Arc;

use vmm_core::event::{
    MachineRequest, RequestSender, StopFlag, Worker, WorkerSpec, panic_if_asked,
};
use vmm_sys_util::eventfd::EventFd;

use super::post::{Closing, Post};
use super::{Crew, Lane};
use crate::virtio::Subscriber;

/// Enough for the longest path, through an image format's library or that of
/// shared files, in a build without optimization. The host commits only what is
/// used.
const STACK: usize = 512 << 10;

/// What a thread does.
pub(in crate::virtio) trait Work<L> {
    /// Serves `lane` until `post` recalls it or `stop` is set, and drains it.
    ///
    /// # Errors
    /// If the host does not let the thread wait; the machine then ends.
    fn serve(&mut self, lane: &mut L, post: &Post<L>, stop: &StopFlag) -> io::Result<()>;
}

/// One thread for each queue.
pub(in crate::virtio) struct Workers<L> {
    posts: Vec<Arc<Post<L>>>,
    /// Stopped when they are dropped.
    _workers: Vec<Worker<()>>,
}

impl<L: Lane> Workers<L> {
    /// Makes the threads `{name}q0`, `{name}q1` and so on, which wait. Each
    /// has the doorbell of its queue, and does what `begin` gives it, which it
    /// calls first, with its name. One that fails ends the machine through
    /// `requests`.
    ///
    /// # Errors
    /// If the host refuses a thread.
    pub(in crate::virtio) fn spawn<W: Work<L>>(
        name: &str,
        doorbells: &Arc<[EventFd]>,
        requests: &RequestSender,
        begin: impl Fn(&str) -> W + Clone + Send + 'static,
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
            let (requests, begin) = (requests.clone(), begin.clone());
            let worker = Worker::spawn(spec, move |stop| {
                let _closing = Closing(&at_work);
                if let Err(error) = run(&name, &mut begin(&name), &at_work, stop) {
                    let why = format!("the thread {name} cannot wait: {error}");
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

/// Serves one lane after the other.
fn run<L>(name: &str, work: &mut impl Work<L>, post: &Post<L>, stop: &StopFlag) -> io::Result<()> {
    while let Some(mut lane) = post.take(stop) {
        panic_if_asked(name);
        work.serve(&mut lane, post, stop)?;
        post.give_back(lane);
    }
    Ok(())
}

impl<L: Lane> Crew<L> for Workers<L> {
    fn subscriber(&self) -> Option<Subscriber> {
        None
    }

    fn serve(&mut self, lane: L) {
        self.posts[lane.index()].put(lane);
    }

    fn recall(&mut self, index: usize) {
        self.posts[index].recall();
    }

    fn collect(&mut self, index: usize) -> Option<L> {
        self.posts[index].collect()
    }
}
