use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use super::REDRAW;
use super::child::{Attempt, Children, attempt};
use super::matrix::Planned;

/// How a run went, with all its attempts.
#[derive(Clone, Debug)]
pub(super) struct RunResult {
    /// How many there were.
    pub attempts: u32,
    /// The last of them.
    pub last: Attempt,
}

impl RunResult {
    pub(super) fn passed(&self) -> bool {
        self.last.status == 0
    }
}

/// What is new.
pub(super) enum News<'a> {
    Started(usize),
    Ended(usize, &'a RunResult),
}

enum Message {
    Started(usize),
    Ended(usize, io::Result<RunResult>),
}

/// Runs that are to be made, so many at a time.
pub(super) struct Pool<'a> {
    pub plan: &'a [Planned],
    pub jobs: usize,
    /// How often a run that failed is tried again.
    pub retry: u32,
    /// Where reports lie for a moment.
    pub folder: &'a Path,
}

impl Pool<'_> {
    /// Makes all runs, unless `children` are stopped. Tells `listen` what is
    /// new, and several times a second that nothing is. Gives a result for each
    /// run of the plan; `None` for one that was not made.
    pub(super) fn run(
        &self,
        children: &Children,
        mut listen: impl FnMut(Option<News<'_>>),
    ) -> io::Result<Vec<Option<RunResult>>> {
        let mut results = vec![None; self.plan.len()];
        let mut failure = None;
        let next = AtomicUsize::new(0);
        let (send, receive) = channel();
        thread::scope(|scope| {
            for _ in 0..self.jobs.min(self.plan.len()) {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || self.work(next, children, &send));
            }
            drop(send);
            loop {
                match receive.recv_timeout(REDRAW) {
                    Ok(Message::Started(index)) => listen(Some(News::Started(index))),
                    Ok(Message::Ended(index, Ok(result))) => {
                        listen(Some(News::Ended(index, &result)));
                        results[index] = Some(result);
                    }
                    Ok(Message::Ended(_, Err(error))) => {
                        failure.get_or_insert(error);
                        children.stop();
                    }
                    Err(RecvTimeoutError::Timeout) => listen(None),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(results),
        }
    }

    fn work(&self, next: &AtomicUsize, children: &Children, send: &Sender<Message>) {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = self.plan.get(index).filter(|_| !children.is_stopped()) else { return };
            // Who listens does so until all have ended.
            let _ = send.send(Message::Started(index));
            let result = self.attempts(index, run, children);
            let _ = send.send(Message::Ended(index, result));
        }
    }

    fn attempts(&self, index: usize, run: &Planned, children: &Children) -> io::Result<RunResult> {
        let report = self.folder.join(format!("{index}.json"));
        let mut attempts = 0;
        loop {
            let last = attempt(run, &report, children)?;
            attempts += 1;
            if last.status == 0 || attempts > self.retry || children.is_stopped() {
                return Ok(RunResult { attempts, last });
            }
        }
    }
}
