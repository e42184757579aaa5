use std::sync::Arc;
use std::time::Instant;

use virtio_queue::Queue;

use super::disk::Disk;
use super::flight::{Flight, Flights, Reply};
use super::plan::{self, Agreed, Plan};
use super::request::{Malformed, Request};
use crate::backend::disk::{Channel, Ended, Operation};
use crate::virtio::lanes;
use crate::virtio::queue::{Chain, Ring};
use crate::virtio::spec::blk;

/// The most chains that one turn takes.
const BUDGET: usize = 256;
/// For how many turns operations are taken to need their time after one that
/// did.
const WAITS: u8 = 15;

/// One queue and the requests from it that are in flight.
///
/// Whoever has a lane gives it turns: a thread of its own, or the event loop.
/// A request comes from the ring, is planned, goes through a [`Channel`] to
/// the image, and back into the ring, together with all others that ended
/// meanwhile. The driver sees them there at once; that it is told of them is
/// for whoever gives the turns to say, before it waits for anything.
pub(super) struct Lane {
    disk: Arc<Disk>,
    agreed: Agreed,
    ring: Ring,
    flights: Flights,
    ended: Vec<Ended>,
    /// Answered, and not yet in the used ring.
    used: Vec<(u16, usize)>,
    /// In the used ring, and the driver not told.
    untold: usize,
    /// Turns before the next that looks whether operations end at once.
    waits: u8,
}

/// When a lane needs its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Now.
    Now,
    /// When the driver adds something, for which it need not ring before
    /// [`Lane::listen`], or an operation ends.
    Empty,
    /// When the driver rings or an operation ends.
    Later,
    /// When an operation ends, at the latest at this time.
    At(Instant),
}

/// Why no more chains were taken.
enum Stopped {
    /// There are no more.
    Empty,
    /// There may be more, and their turn comes next.
    Share,
    /// As many are in flight as can be.
    Full,
    /// The rate limits hold them back until then.
    Held(Instant),
    /// The driver broke the ring.
    Broken,
}

impl lanes::Lane for Lane {
    fn ring(&self) -> &Ring {
        &self.ring
    }

    fn take_queue(&mut self) -> Queue {
        self.ring.take_queue()
    }

    fn replace_queue(&mut self, queue: Queue) {
        self.ring.replace_queue(queue);
        self.flights = Flights::new(self.ring.size());
    }

    fn into_queue(self) -> Queue {
        self.ring.into_queue()
    }
}

impl Lane {
    /// The lane of `ring` for a driver that accepted `features`.
    pub(super) fn new(disk: Arc<Disk>, ring: Ring, features: u64) -> Self {
        Self {
            disk,
            agreed: Agreed(features),
            flights: Flights::new(ring.size()),
            ring,
            ended: Vec::new(),
            used: Vec::new(),
            untold: 0,
            waits: 0,
        }
    }

    /// Answers what has ended and starts what the driver made available.
    pub(super) fn turn(&mut self, channel: &mut dyn Channel) -> Next {
        self.reap(channel);
        let stopped = self.take(channel);
        if !self.is_idle() {
            self.reap_at_once(channel);
        }
        match stopped {
            Stopped::Empty => Next::Empty,
            Stopped::Share => Next::Now,
            Stopped::Full | Stopped::Broken => Next::Later,
            Stopped::Held(until) => Next::At(until),
        }
    }

    /// How many answers the driver has not been told of.
    pub(super) fn untold(&self) -> usize {
        self.untold
    }

    /// Tells the driver of its answers, if there are any and it wants to know.
    pub(super) fn tell(&mut self) {
        if std::mem::take(&mut self.untold) > 0 {
            self.ring.attempt(Ring::signal);
        }
    }

    /// Has the driver ring from here on. True if it added something just
    /// before, for which it may not have rung: the lane needs a turn.
    pub(super) fn listen(&mut self) -> bool {
        self.ring.attempt(Ring::unmute).unwrap_or(false)
    }

    /// Whether the driver added something since the last turn.
    pub(super) fn has_more(&mut self) -> bool {
        self.ring.attempt(|ring| ring.has_more()).unwrap_or(false)
    }

    /// Answers what has ended and takes nothing new; returns whether nothing
    /// is in flight any more.
    pub(super) fn drain(&mut self, channel: &mut dyn Channel) -> bool {
        self.reap(channel);
        self.tell();
        self.is_idle()
    }

    /// Whether nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    fn take(&mut self, channel: &mut dyn Channel) -> Stopped {
        let Self { disk, agreed, ring, flights, used, .. } = self;
        let mem = ring.mem();
        let stopped = ring.attempt(|ring| {
            ring.mute()?;
            for _ in 0..BUDGET {
                if flights.is_full() {
                    return Ok(Stopped::Full);
                }
                if let Some(until) = disk.held_until() {
                    return Ok(Stopped::Held(until));
                }
                let Some(chain) = ring.pop(&mem)? else { return Ok(Stopped::Empty) };
                match begin(disk, *agreed, chain) {
                    Begun::Answered { reply: None, head, .. } => used.push((head, 0)),
                    Begun::Answered { reply: Some(reply), status, written, .. } => {
                        used.push(reply.send(&mem, status, written));
                    }
                    Begun::Started(operation, flight) => {
                        channel.start(operation, flights.insert(flight));
                    }
                }
            }
            Ok(Stopped::Share)
        });
        self.answer();
        stopped.unwrap_or(Stopped::Broken)
    }

    /// Passes on what was started, and answers what ends by that, as what the
    /// host has in its cache does: before the driver is asked to ring for more.
    /// Where nothing does, that is left to the wait that follows, which passes
    /// it on too, and tried again later.
    fn reap_at_once(&mut self, channel: &mut dyn Channel) {
        if self.waits > 0 {
            self.waits -= 1;
        } else if !self.reap(channel) {
            self.waits = WAITS;
        }
    }

    /// Takes what has ended: requests go on to their next operation, or are
    /// answered. Returns whether anything has.
    fn reap(&mut self, channel: &mut dyn Channel) -> bool {
        channel.reap(&mut self.ended);
        if self.ended.is_empty() {
            return false;
        }
        let mem = self.ring.mem();
        for Ended { token, result } in self.ended.drain(..) {
            let Some(flight) = self.flights.get(token) else { continue };
            if result.is_ok()
                && let Some(operation) = flight.rest.next()
            {
                channel.start(operation, token);
                continue;
            }
            let Some(Flight { reply, rest }) = self.flights.remove(token) else { continue };
            let (status, written) = match result {
                Ok(()) => (blk::S_OK, rest.written),
                Err(error) => {
                    self.disk.failed(&error);
                    // How far it came is not known, and nothing is promised.
                    (blk::S_IOERR, 0)
                }
            };
            self.used.push(reply.send(&mem, status, written));
        }
        self.answer();
        true
    }

    /// Puts all answers where the driver finds them.
    fn answer(&mut self) {
        if self.used.is_empty() {
            return;
        }
        let used = &self.used;
        self.ring.attempt(|ring| ring.add_used(used));
        self.untold += used.len();
        self.used.clear();
    }
}

/// What became of a chain at once.
enum Begun<'m> {
    /// It is answered, in its status byte if it has one.
    Answered { head: u16, reply: Option<Reply>, status: u8, written: usize },
    /// It is for the image.
    Started(Operation<'m>, Flight),
}

fn begin<'m>(disk: &Disk, agreed: Agreed, chain: Chain<'m>) -> Begun<'m> {
    let head = chain.head;
    let answered = |reply, status, written| Begun::Answered { head, reply, status, written };
    let request = match Request::parse(chain) {
        Ok(request) => request,
        Err(Malformed::NoStatus) => return answered(None, 0, 0),
        Err(Malformed::NoHeader { incoming, status }) => {
            return answered(Some(Reply { head, status, room: incoming }), blk::S_IOERR, 0);
        }
    };
    let reply = Reply { head, status: request.status, room: request.incoming.len() };
    match plan::plan(disk, agreed, request) {
        Plan::Answer(status, written) => answered(Some(reply), status, written),
        Plan::Do(operation, rest) => {
            disk.count(bytes(&operation));
            Begun::Started(operation, Flight { reply, rest })
        }
    }
}

/// How many bytes an operation moves, as rate limits count.
fn bytes(operation: &Operation<'_>) -> u64 {
    let len = match operation {
        Operation::Read { to, .. } => to.len(),
        Operation::Write { from, .. } => from.len(),
        _ => 0,
    };
    u64::try_from(len).unwrap_or(u64::MAX)
}
