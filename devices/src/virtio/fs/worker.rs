//! What a share's threads do.

use std::io;
use std::time::Instant;

use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use vmm_core::event::StopFlag;
use vmm_core::sys;

use super::lane::Lane;
use crate::virtio::lanes::{Pace, Post, Work};

/// What serves one lane after the other.
pub(super) struct Worker;

impl Worker {
    /// In the thread called `name`.
    pub(super) fn begin(name: &str) -> Self {
        // The guest has file creation masks of its own. That of this process stays
        // for others, and for the guest, too, where a container forbids this.
        match unshare(CloneFlags::CLONE_FS) {
            Ok(()) => drop(umask(Mode::empty())),
            Err(error) => log::debug!("{name}: the umask is that of the process: {error}"),
        }
        Self
    }
}

impl Work<Lane> for Worker {
    fn serve(&mut self, lane: &mut Lane, post: &Post<Lane>, stop: &StopFlag) -> io::Result<()> {
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
}
