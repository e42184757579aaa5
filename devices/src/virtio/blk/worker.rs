//! What a disk's threads do.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use vmm_core::event::StopFlag;
use vmm_core::mem::GuestRam;

use super::burst::Burst;
use super::disk::Disk;
use super::lane::{Lane, Next};
use crate::backend::disk::Channel;
use crate::virtio::lanes::{Lane as _, Pace, Post, Work};

/// Makes a queue's way to the image, for so many requests in flight.
pub(super) type MakeChannel = fn(&Disk, &Arc<GuestRam>, u16) -> Box<dyn Channel>;

/// What serves one lane after the other.
pub(super) struct Worker {
    disk: Arc<Disk>,
    make: MakeChannel,
    /// Made in this thread at its first lane, and kept: most machines start
    /// a device once.
    channel: Option<(Arc<GuestRam>, u16, Box<dyn Channel>)>,
}

impl Worker {
    pub(super) fn new(disk: Arc<Disk>, make: MakeChannel) -> Self {
        Self { disk, make, channel: None }
    }

    fn channel(&mut self, lane: &Lane) -> &mut dyn Channel {
        let (mem, depth) = (lane.ring().mem(), lane.ring().size());
        let fits = |(its, its_depth, _): &(Arc<GuestRam>, u16, Box<dyn Channel>)| {
            Arc::ptr_eq(its, &mem) && *its_depth >= depth
        };
        let channel = self.channel.take().filter(fits).unwrap_or_else(|| {
            let channel = (self.make)(&self.disk, &mem, depth);
            if lane.index() == 0 {
                self.disk.introduce(channel.engine());
            }
            (mem, depth, channel)
        });
        &mut *self.channel.insert(channel).2
    }
}

impl Work<Lane> for Worker {
    fn serve(&mut self, lane: &mut Lane, post: &Post<Lane>, stop: &StopFlag) -> io::Result<()> {
        let channel = self.channel(lane);
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
