use super::give::Giver;
use super::stats::Stats;
use crate::virtio::DeviceIo;
use crate::virtio::queue::{Chain, Ring, RingError};
use crate::virtio::spec::balloon::{F_PAGE_POISON, F_PAGE_REPORTING, F_STATS_VQ};

/// Chains that one wake-up takes from the statistics queue.
const BUDGET: usize = 16;

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Pages that go into the balloon.
    Inflate,
    /// Pages that come out of it.
    Deflate,
    /// How the guest uses its memory.
    Stats,
    /// Pages that are free at the moment.
    Report,
    /// Nothing: the driver left out a feature.
    Unused,
}

/// What the queues are for (VIRTIO 1.2 §5.5.2). Those whose feature was not
/// agreed on do not count, as Linux and QEMU have it, so that the later ones
/// move up.
pub(super) fn roles(features: u64) -> impl Iterator<Item = Role> {
    let only_with = |bit, role| (features & bit != 0).then_some(role);
    [
        Some(Role::Inflate),
        Some(Role::Deflate),
        only_with(F_STATS_VQ, Role::Stats),
        only_with(F_PAGE_REPORTING, Role::Report),
    ]
    .into_iter()
    .flatten()
    .chain(std::iter::repeat(Role::Unused))
}

/// What there is between start and stop.
pub(super) struct Live {
    pub(super) lanes: Vec<Lane>,
    /// Whether the driver says what free pages hold.
    pub(super) tells_poison: bool,
}

impl Live {
    pub(super) fn new(io: DeviceIo) -> Self {
        let (features, tells_poison) = (io.features, io.features & F_PAGE_POISON != 0);
        let lanes = Ring::all(io).into_iter().zip(roles(features));
        let lanes = lanes.map(|(ring, role)| Lane { ring, role, done: 0, held: None }).collect();
        Self { lanes, tells_poison }
    }

    /// The queue for statistics, if there is one.
    pub(super) fn stats_lane(&mut self) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.role == Role::Stats)
    }
}

/// A queue and how far it has come.
pub(super) struct Lane {
    pub(super) ring: Ring,
    pub(super) role: Role,
    /// Bytes of the next chain that are done.
    done: usize,
    /// The chain that is kept until statistics are wanted: the last popped.
    held: Option<u16>,
}

impl Lane {
    /// Makes the lane as at the start: a chain that is kept, or done in part,
    /// is as if it had never been taken.
    pub(super) fn rewind(&mut self) {
        self.done = 0;
        if self.held.take().is_some() {
            self.ring.unpop(1);
        }
    }

    /// Gives back the pages that the driver puts into the balloon. True if
    /// more waits.
    pub(super) fn inflate(&mut self, has_warned: &mut bool) -> bool {
        self.give_each(has_warned, |giver, chain, done| giver.give_list(chain.readable, done))
    }

    /// Gives back the pages that the driver reports as free. True if more
    /// waits.
    pub(super) fn take_report(&mut self, has_warned: &mut bool) -> bool {
        self.give_each(has_warned, |giver, chain, done| giver.give_buffer(chain.writable, done))
    }

    /// Has `give` do each chain from byte `done` on, until it says that the
    /// time is over.
    fn give_each(
        &mut self,
        has_warned: &mut bool,
        give: impl Fn(&mut Giver<'_>, Chain<'_>, &mut usize) -> bool,
    ) -> bool {
        let mem = self.ring.mem();
        let mut giver = Giver::new(&mem, has_warned);
        let done = &mut self.done;
        self.ring.serve_while(|chain| Ok(give(&mut giver, chain, done).then_some(0)))
    }

    /// Lets the driver go on at once, as when pages leave the balloon: they
    /// come back when they are touched. True if more waits.
    pub(super) fn wave_through(&mut self) -> bool {
        self.ring.serve(|_| Ok(0))
    }

    /// Takes the statistics that the driver has left, and keeps the last chain
    /// until newer ones are wanted. True if more waits.
    pub(super) fn take_stats(&mut self, stats: &mut Option<Stats>) -> bool {
        let mem = self.ring.mem();
        let held = &mut self.held;
        let is_more = self.ring.attempt(|ring| {
            for _ in 0..BUDGET {
                if let Some(chain) = ring.pop(&mem)? {
                    *stats = Some(Stats::parse(&chain.readable));
                    if let Some(former) = held.replace(chain.head) {
                        use_one(ring, former)?;
                    }
                } else if !ring.unmute()? {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        is_more.unwrap_or(false)
    }

    /// Asks the driver for statistics of now, if it has left a chain for that.
    pub(super) fn ask_for_stats(&mut self) {
        if let Some(head) = self.held.take() {
            self.ring.attempt(|ring| use_one(ring, head));
        }
    }
}

fn use_one(ring: &mut Ring, head: u16) -> Result<(), RingError> {
    ring.add_used(&[(head, 0)])?;
    ring.signal()
}
